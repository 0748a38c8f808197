// Closed-loop load for a unary gRPC method over plaintext HTTP/2, each call with a body
// of its own.
//
//   load_generator PORT PATH BODIES CONNECTIONS STREAMS WARMUP_SECONDS SECONDS
//
// BODIES is a file of gRPC frames (flag, 4-byte length, message), sent in order; the
// run ends early when they are used up, so that no body is ever sent twice. A call counts
// as good when a message came back: an error is answered with trailers only. Prints one
// JSON line. STREAMS calls are in flight on each connection.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DATA = 0, HEADERS = 1, RESET = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { FRAME_HEADER = 9, BUFFER = 1 << 18, WINDOW_START = 65535, FRAME_MAX = 16384 };

struct call {
  uint32_t stream;  // 0: free
  uint32_t received;
  uint64_t started;
};

struct connection {
  int socket;
  uint32_t next_stream;
  int64_t send_window;
  int64_t receive_window;
  struct call *calls;
  uint8_t *in, *out;
  size_t in_size, out_size, out_sent;
};

static const uint8_t *bodies;
static size_t bodies_size, bodies_used;
static uint8_t request_headers[512];
static size_t request_headers_size;
static int streams_each, measuring, exhausted;
static uint64_t good, bad;
static uint32_t *latencies;  // units of 100 ns
static size_t latencies_size, latencies_room = 1 << 20;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t read_u32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void put(struct connection *c, const void *bytes, size_t size) {
  if (c->out_size + size > BUFFER) {
    fprintf(stderr, "the output buffer is full\n");
    exit(1);
  }
  memcpy(c->out + c->out_size, bytes, size);
  c->out_size += size;
}

static void put_frame(struct connection *c, size_t size, int type, int flags,
                      uint32_t stream) {
  uint8_t h[FRAME_HEADER] = {(uint8_t)(size >> 16),   (uint8_t)(size >> 8),
                             (uint8_t)size,           (uint8_t)type,
                             (uint8_t)flags,          (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16), (uint8_t)(stream >> 8),
                             (uint8_t)stream};
  put(c, h, sizeof h);
}

static void put_window(struct connection *c, uint32_t add) {
  uint8_t w[4] = {(uint8_t)(add >> 24), (uint8_t)(add >> 16), (uint8_t)(add >> 8),
                  (uint8_t)add};
  put_frame(c, 4, WINDOW, 0, 0);
  put(c, w, 4);
}

static void flush(struct connection *c) {
  while (c->out_sent < c->out_size) {
    ssize_t n = send(c->socket, c->out + c->out_sent, c->out_size - c->out_sent,
                     MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("send");
    c->out_sent += (size_t)n;
  }
  c->out_size = c->out_sent = 0;
}

// A literal header field without indexing, name as text (RFC 7541 section 6.2.2).
static void add_header(const char *name, const char *value) {
  uint8_t *p = request_headers + request_headers_size;
  size_t n = strlen(name), v = strlen(value);
  *p++ = 0x00;
  *p++ = (uint8_t)n;
  memcpy(p, name, n);
  p += n;
  *p++ = (uint8_t)v;
  memcpy(p, value, v);
  request_headers_size += 3 + n + v;
}

static int start_call(struct connection *c, struct call *call) {
  if (bodies_used + 5 > bodies_size) {
    exhausted = 1;
    return 0;
  }
  const uint8_t *body = bodies + bodies_used;
  size_t size = 5 + read_u32(body + 1);
  if (size > FRAME_MAX || c->send_window < (int64_t)size) return 0;
  if (c->out_size + size + 1024 > BUFFER) return 0;
  uint32_t stream = c->next_stream;
  c->next_stream += 2;
  put_frame(c, request_headers_size, HEADERS, END_HEADERS, stream);
  put(c, request_headers, request_headers_size);
  put_frame(c, size, DATA, END_STREAM, stream);
  put(c, body, size);
  c->send_window -= (int64_t)size;
  bodies_used += size;
  *call = (struct call){.stream = stream, .started = now_ns()};
  return 1;
}

static void end_call(struct call *call, int is_good) {
  if (measuring) {
    if (latencies_size == latencies_room) {
      latencies_room *= 2;
      latencies = realloc(latencies, latencies_room * sizeof *latencies);
      if (!latencies) fail("realloc");
    }
    latencies[latencies_size++] = (uint32_t)((now_ns() - call->started) / 100);
    if (is_good) good++; else bad++;
  }
  call->stream = 0;
}

static struct call *find_call(struct connection *c, uint32_t stream) {
  for (int i = 0; i < streams_each; i++)
    if (c->calls[i].stream == stream) return &c->calls[i];
  return NULL;
}

static void take_frame(struct connection *c, const uint8_t *h, size_t size) {
  const uint8_t *payload = h + FRAME_HEADER;
  int type = h[3], flags = h[4];
  uint32_t stream = read_u32(h + 5) & 0x7fffffff;
  struct call *call = stream ? find_call(c, stream) : NULL;
  if (type == DATA) {
    c->receive_window -= (int64_t)size;
    if (c->receive_window < 1 << 29) {
      put_window(c, 1u << 30);
      c->receive_window += 1 << 30;
    }
    if (call) call->received += (uint32_t)size;
  } else if (type == SETTINGS && !(flags & ACK)) {
    put_frame(c, 0, SETTINGS, ACK, 0);
  } else if (type == PING && !(flags & ACK)) {
    put_frame(c, 8, PING, ACK, 0);
    put(c, payload, 8);
  } else if (type == GOAWAY) {
    fprintf(stderr, "the server said GOAWAY\n");
    exit(1);
  } else if (type == WINDOW && stream == 0) {
    c->send_window += read_u32(payload) & 0x7fffffff;
  }
  if (!call) return;
  if (type == RESET) end_call(call, 0);
  if ((type == HEADERS || type == DATA) && (flags & END_STREAM))
    end_call(call, call->received > 5);
}

static void receive(struct connection *c) {
  for (;;) {
    ssize_t n = recv(c->socket, c->in + c->in_size, BUFFER - c->in_size, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) fail("the server closed a connection");
    c->in_size += (size_t)n;
    size_t used = 0;
    while (c->in_size - used >= FRAME_HEADER) {
      const uint8_t *h = c->in + used;
      size_t size = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
      if (c->in_size - used < FRAME_HEADER + size) break;
      take_frame(c, h, size);
      used += FRAME_HEADER + size;
    }
    memmove(c->in, c->in + used, c->in_size - used);
    c->in_size -= used;
  }
}

static void open_connection(struct connection *c, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->socket, (void *)&a, sizeof a)) fail("connect");
  int one = 1;
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->socket, F_SETFL, O_NONBLOCK);
  c->next_stream = 1;
  c->send_window = WINDOW_START;
  c->receive_window = 0x7fffffff;
  c->calls = calloc((size_t)streams_each, sizeof *c->calls);
  c->in = malloc(BUFFER);
  c->out = malloc(BUFFER);
  if (!c->calls || !c->in || !c->out) fail("malloc");
  // No header table of ours (setting 1), a large window for each stream (setting 4).
  const uint8_t settings[12] = {0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff};
  put(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  put_frame(c, sizeof settings, SETTINGS, 0, 0);
  put(c, settings, sizeof settings);
  put_window(c, 0x7fffffff - WINDOW_START);
}

static int by_value(const void *x, const void *y) {
  uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  return (a > b) - (a < b);
}

static double percentile_ms(double share) {
  if (!latencies_size) return 0;
  return latencies[(size_t)((double)(latencies_size - 1) * share)] / 10000.0;
}

int main(int count, char **arguments) {
  if (count != 8) {
    fprintf(stderr, "usage: see the head of load_generator.c\n");
    return 2;
  }
  int port = atoi(arguments[1]), connections = atoi(arguments[4]);
  streams_each = atoi(arguments[5]);
  uint64_t warmup = (uint64_t)(atof(arguments[6]) * 1e9);
  uint64_t measured = (uint64_t)(atof(arguments[7]) * 1e9);
  int file = open(arguments[3], O_RDONLY);
  struct stat facts;
  if (file < 0 || fstat(file, &facts)) fail(arguments[3]);
  bodies_size = (size_t)facts.st_size;
  bodies = mmap(NULL, bodies_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (bodies == MAP_FAILED) fail("mmap");
  char authority[32];
  snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
  add_header(":method", "POST");
  add_header(":scheme", "http");
  add_header(":path", arguments[2]);
  add_header(":authority", authority);
  add_header("content-type", "application/grpc");
  add_header("te", "trailers");

  latencies = malloc(latencies_room * sizeof *latencies);
  struct connection *all = calloc((size_t)connections, sizeof *all);
  int poll = epoll_create1(0);
  for (int i = 0; i < connections; i++) {
    open_connection(&all[i], port);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                            .data.u32 = (uint32_t)i};
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].socket, &e);
  }
  uint64_t begin = now_ns() + warmup, end = begin + measured, began = 0;
  while (now_ns() < end && !exhausted) {
    if (!measuring && now_ns() >= begin) {
      measuring = 1;
      began = now_ns();
    }
    for (int i = 0; i < connections; i++) {
      for (int k = 0; k < streams_each; k++)
        if (!all[i].calls[k].stream && !start_call(&all[i], &all[i].calls[k])) break;
      flush(&all[i]);
    }
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, 100);
    for (int i = 0; i < ready; i++)
      if (events[i].events & EPOLLIN) receive(&all[events[i].data.u32]);
  }
  double seconds = began ? (double)(now_ns() - began) / 1e9 : 0;
  qsort(latencies, latencies_size, sizeof *latencies, by_value);
  printf("{\"good\": %llu, \"bad\": %llu, \"seconds\": %.3f, \"rate\": %.1f, "
         "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"exhausted\": %s}\n",
         (unsigned long long)good, (unsigned long long)bad, seconds,
         seconds > 0 ? (double)good / seconds : 0, percentile_ms(0.5),
         percentile_ms(0.99), exhausted ? "true" : "false");
  return 0;
}
