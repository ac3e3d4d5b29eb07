// SPDX-License-Identifier: GPL-2.0-only
#include "config/listen.h"

#include "lib/decimal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* Copies the size bytes at text as a string, if there is room. */
static bool listen_copy(char *to, size_t room, const char *text, size_t size)
{
	if (size >= room)
		return false;
	memcpy(to, text, size);
	to[size] = '\0';
	return true;
}

bool listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *size)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	uint32_t port;

	if (!colon || !decimal_parse(colon + 1, 1, UINT16_MAX, &port))
		return false;
	*ret = (struct sockaddr_storage){0};
	if (*text == '[') {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		*size = sizeof(*in6);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return colon > text + 1 && colon[-1] == ']' &&
		       listen_copy(host, sizeof(host), text + 1, (size_t)(colon - text) - 2) &&
		       inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	*size = sizeof(struct sockaddr_in);
	((struct sockaddr_in *)ret)->sin_family = AF_INET;
	((struct sockaddr_in *)ret)->sin_port = htons((uint16_t)port);
	return listen_copy(host, sizeof(host), text, (size_t)(colon - text)) &&
	       inet_pton(AF_INET, host, &((struct sockaddr_in *)ret)->sin_addr) == 1;
}
