/* An OpenAI server that costs next to nothing: always the same answer, by one process and one epoll loop.
 *
 * POST with "stream":true: 52 chunks, then the usage when it is asked for, then [DONE]; each one is a write of its own.
 * A model whose name holds "paced-N" waits N ms before each chunk, else they follow one another. Anything else: JSON.
 * Usage: openai_backend PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, BUFFER = 64 * 1024, CHUNKS = 52 };

struct caller {
  int used, streaming, at, usage, wait_ms;
  long long next;
  size_t got;
  char *data;
} callers[MOST];
static int paced;

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void hang_up(int fd) {
  if (callers[fd].streaming && callers[fd].wait_ms) paced--;
  free(callers[fd].data);
  memset(&callers[fd], 0, sizeof callers[fd]);
  close(fd);
}

static int say(int fd, const char *data, size_t size) {
  while (size) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      struct pollfd p = {fd, POLLOUT, 0};
      if (poll(&p, 1, 1000) <= 0) return -1;
      continue;
    }
    if (sent <= 0) return -1;
    data += sent;
    size -= sent;
  }
  return 0;
}

static const char *HEAD = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                          "\"model\":\"fake\",\"choices\":[";
static const char *USAGE = "{\"prompt_tokens\":12,\"completion_tokens\":50,\"total_tokens\":62}";

/* The event of place `at`; 1 when it was the last. -1: nobody reads. */
static int event(int fd, struct caller *c) {
  char body[1024], framed[1200];
  int at = c->at++, last = 0;
  if (at == CHUNKS && !c->usage) at = c->at++;
  if (at == 0)
    snprintf(body, sizeof body, "data: %s{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
             "\"finish_reason\":null}]}\n\n", HEAD);
  else if (at < CHUNKS - 1)
    snprintf(body, sizeof body, "data: %s{\"index\":0,\"delta\":{\"content\":\"mot%02d \"},"
             "\"finish_reason\":null}]}\n\n", HEAD, at);
  else if (at == CHUNKS - 1)
    snprintf(body, sizeof body, "data: %s{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", HEAD);
  else if (at == CHUNKS)
    snprintf(body, sizeof body, "data: %s],\"usage\":%s}\n\n", HEAD, USAGE);
  else {
    snprintf(body, sizeof body, "data: [DONE]\n\n");
    last = 1;
  }
  size_t size = snprintf(framed, sizeof framed, "%zx\r\n%s\r\n%s", strlen(body), body, last ? "0\r\n\r\n" : "");
  if (say(fd, framed, size) < 0) return -1;
  return last;
}

static int answer(int fd, struct caller *c, char *request, char *body) {
  static const char *STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                              "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
  char whole[2048], text[1024];
  if (strncmp(request, "POST", 4) == 0 && (strstr(body, "\"stream\":true") || strstr(body, "\"stream\": true"))) {
    char *pace = strstr(body, "paced-");
    c->at = 0;
    c->usage = strstr(body, "include_usage") != NULL;
    c->wait_ms = pace ? atoi(pace + 6) : 0;
    if (say(fd, STREAM, strlen(STREAM)) < 0) return -1;
    if (c->wait_ms) {
      c->streaming = 1;
      c->next = now_ms() + c->wait_ms;
      paced++;
      return 0;
    }
    int ended;
    while ((ended = event(fd, c)) == 0) {}
    return ended < 0 ? -1 : 0;
  }
  if (strncmp(request, "POST", 4) == 0)
    snprintf(text, sizeof text, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
             "\"model\":\"fake\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
             "\"Une phrase de quelques mots, toujours la meme, en guise de reponse.\"},\"logprobs\":null,"
             "\"finish_reason\":\"stop\"}],\"usage\":%s}", USAGE);
  else
    snprintf(text, sizeof text, "{\"status\":\"ready\",\"object\":\"list\",\"data\":[{\"id\":\"fake\","
             "\"object\":\"model\",\"created\":0,\"owned_by\":\"bench\"}]}");
  size_t size = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s", strlen(text), text);
  return say(fd, whole, size);
}

/* Answers what has come whole; -1 to hang up. */
static int serve(int fd, struct caller *c) {
  while (!c->streaming) {
    c->data[c->got] = 0;
    char *end = strstr(c->data, "\r\n\r\n");
    if (!end) return c->got < BUFFER ? 0 : -1;
    char *length = strcasestr(c->data, "content-length:");
    size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
    size_t all = (size_t)(end + 4 - c->data) + body;
    if (all > BUFFER) return -1;
    if (c->got < all) return 0;
    char kept = c->data[all];
    c->data[all] = 0;
    int failed = answer(fd, c, c->data, end + 4);
    c->data[all] = kept;
    if (failed < 0) return -1;
    memmove(c->data, c->data + all, c->got - all);
    c->got -= all;
  }
  return 0;
}

int main(int argc, char **argv) {
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&where, sizeof where) || listen(listener, 1024)) return perror("listen"), 1;
  struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener}, found[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &wanted);
  signal(SIGPIPE, SIG_IGN);
  for (;;) {
    int count = epoll_wait(poller, found, 256, paced ? 1 : -1);
    for (int i = 0; i < count; i++) {
      int fd = found[i].data.fd;
      if (fd == listener) {
        int caller = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (caller < 0) continue;
        if (caller >= MOST) { close(caller); continue; }
        setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        callers[caller].used = 1;
        callers[caller].data = malloc(BUFFER + 1);
        struct epoll_event reading = {.events = EPOLLIN, .data.fd = caller};
        epoll_ctl(poller, EPOLL_CTL_ADD, caller, &reading);
        continue;
      }
      struct caller *c = &callers[fd];
      ssize_t got = recv(fd, c->data + c->got, BUFFER - c->got, 0);
      if (got <= 0) { hang_up(fd); continue; }
      c->got += got;
      if (serve(fd, c) < 0) hang_up(fd);
    }
    if (!paced) continue;
    long long now = now_ms();
    for (int fd = 0; fd < MOST; fd++) {
      struct caller *c = &callers[fd];
      if (!c->used || !c->streaming || c->next > now) continue;
      int ended = event(fd, c);
      if (ended < 0) { hang_up(fd); continue; }
      c->next = now + c->wait_ms;
      if (!ended) continue;
      c->streaming = 0;
      paced--;
      if (serve(fd, c) < 0) hang_up(fd);
    }
  }
}
