/* SPDX-License-Identifier: GPL-2.0-only */
/* The BPF object, embedded: flow_object .. flow_object_end (supervisor/program.c). */
	.section .rodata
	.balign 16
	.global flow_object
	.type flow_object, STT_OBJECT
flow_object:
	.incbin FLOW_OBJECT
	.global flow_object_end
flow_object_end:
	.size flow_object, . - flow_object
	.section .note.GNU-stack, "", %progbits
