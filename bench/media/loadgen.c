// loadgen PORT CALLS WARM_S MEASURE_S FRAME_FILE [FRAMES_PER_S=50] [TICK_US=250]
// Plays the part of ACS for many calls from one thread: opens CALLS WebSockets to 127.0.0.1 and sends each a masked text frame every
// 20 ms, the calls' phases spread evenly. A call speaks for the speech frames of the file, then is quiet for its silence frames, and
// starts again; calls begin at different places, so that at any time the same share of them speaks.
// Takes what the server sends, whether it answers each frame at once (then `p50` and `p99` are echo times) or in its own time
// (then `starved` counts frames that came over 40 ms after the audio before them had been played).
// FRAME_FILE: uint32 number of speech frames, uint32 of silence frames, then each as uint16 length and bytes (little endian).
// Prints START and END around the measured window, then one JSON line.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PENDING 256        // frames of one call that may be unanswered; power of two
#define BUCKET_NS 5000     // 5 us, up to 1 s
#define BUCKETS 200000
#define FRAME_NS 20000000LL
#define GAP_NS 40000000LL

typedef struct { unsigned char *bytes; int length; } Frame;
typedef struct {
  int fd, index, at;             // at: next frame of the cycle
  int rest; const unsigned char *from; // of a frame that the kernel took in part only
  int need, headerLength, opcode; unsigned char header[4]; // of the frame being received
  uint16_t oldest, newest; int64_t sentAt[PENDING];
  int64_t playedOutAt;
} Call;

static Frame *frames; static int frameCount;
static uint32_t histogram[BUCKETS];
static uint64_t sent, received, starved, blocked;
static int measuring;

static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }

static void fail(const char *what) { perror(what); exit(2); }

static void loadFrames(const char *path) {
  FILE *file = fopen(path, "rb"); uint32_t counts[2];
  if (!file || fread(counts, 4, 2, file) != 2) fail("frame file");
  frameCount = counts[0] + counts[1];
  frames = calloc(frameCount, sizeof *frames);
  const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
  for (int i = 0; i < frameCount; i++) {
    uint16_t length;
    if (fread(&length, 2, 1, file) != 1) fail("frame file");
    unsigned char *b = malloc(length + 8);
    b[0] = 0x81; b[1] = 0x80 | 126; b[2] = length >> 8; b[3] = length & 255; memcpy(b + 4, mask, 4);
    if (fread(b + 8, 1, length, file) != length) fail("frame file");
    for (int k = 0; k < length; k++) b[8 + k] ^= mask[k & 3];
    frames[i] = (Frame){b, length + 8};
  }
  fclose(file);
}

static void arrived(Call *call, int64_t at) {
  int64_t late = at - call->playedOutAt;
  call->playedOutAt = (late > 0 ? at : call->playedOutAt) + FRAME_NS;
  int64_t took = call->oldest != call->newest ? at - call->sentAt[call->oldest++ % PENDING] : 0;
  if (!measuring) return;
  received++;
  if (late > GAP_NS) starved++;
  int64_t bucket = took / BUCKET_NS;
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

// Server frames are unmasked: two bytes of header, or four with a 16-bit length.
static void take(Call *call, unsigned char *b, int n, int64_t at) {
  while (n > 0) {
    if (call->need > 0) {
      int k = n < call->need ? n : call->need;
      call->need -= k; b += k; n -= k;
      if (call->need == 0 && call->opcode < 8) arrived(call, at);
      continue;
    }
    call->header[call->headerLength++] = *b++; n--;
    int complete = call->headerLength == 4 || (call->headerLength == 2 && (call->header[1] & 127) < 126);
    if (!complete) continue;
    call->opcode = call->header[0] & 15;
    call->need = call->headerLength == 2 ? call->header[1] & 127 : call->header[2] << 8 | call->header[3];
    call->headerLength = 0;
    if (call->opcode == 8) { fprintf(stderr, "closed by the server\n"); exit(3); }
  }
}

static void push(Call *call) {
  if (!call->rest) {
    if ((uint16_t)(call->newest - call->oldest) >= PENDING - 1) call->oldest++; // a server that does not echo: only the counts matter
    call->from = frames[call->at].bytes; call->rest = frames[call->at].length;
    call->at = (call->at + 1) % frameCount;
    call->sentAt[call->newest++ % PENDING] = now();
    if (measuring) sent++;
  } else blocked++;
  int written = write(call->fd, call->from, call->rest);
  if (written < 0 && errno != EAGAIN) fail("write");
  if (written > 0) { call->from += written; call->rest -= written; }
}

static int dial(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (s < 0 || connect(s, (void *)&address, sizeof address)) fail("connect");
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  const char *request = "GET /acs HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  if (write(s, request, strlen(request)) < 0) fail("upgrade");
  char answer[4096]; int got = 0;
  while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4)) {
    if (got == sizeof answer - 1 || read(s, answer + got, 1) <= 0) fail("upgrade");
    got++;
  }
  answer[got] = 0;
  if (!strstr(answer, " 101 ")) { fprintf(stderr, "no upgrade: %s\n", answer); exit(2); }
  fcntl(s, F_SETFL, O_NONBLOCK);
  return s;
}

static double percentile(double p) {
  uint64_t count = 0, wanted = (uint64_t)(received * p);
  for (int i = 0; i < BUCKETS; i++) { count += histogram[i]; if (count > wanted) return i * (BUCKET_NS / 1000.0); }
  return 1e6;
}

static double cpuSeconds(void) {
  struct rusage u; getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// Reads until `until`.
static void listenUntil(int ep, int64_t until) {
  static struct epoll_event events[1024]; static unsigned char buffer[262144];
  for (;;) {
    int64_t left = until - now(); struct timespec wait = {0, left > 0 ? left : 0};
    int n = epoll_pwait2(ep, events, 1024, &wait, NULL);
    for (int i = 0; i < n; i++) {
      Call *call = events[i].data.ptr; int r = read(call->fd, buffer, sizeof buffer);
      if (r == 0) { fprintf(stderr, "closed by the server\n"); exit(3); }
      if (r > 0) take(call, buffer, r, now());
    }
    if (now() >= until) return;
  }
}

int main(int argc, char **argv) {
  if (argc < 6) { fprintf(stderr, "usage: loadgen PORT CALLS WARM_S MEASURE_S FRAME_FILE [FRAMES_PER_S] [TICK_US]\n"); return 2; }
  int port = atoi(argv[1]), n = atoi(argv[2]);
  double warm = atof(argv[3]), measure = atof(argv[4]), rate = argc > 6 ? atof(argv[6]) : 50;
  int64_t tick = (argc > 7 ? atoi(argv[7]) : 250) * 1000LL, period = (int64_t)(1e9 / rate);
  loadFrames(argv[5]);
  Call *calls = calloc(n, sizeof *calls); int ep = epoll_create1(0);
  for (int i = 0; i < n; i++) {
    calls[i].fd = dial(port); calls[i].index = i; calls[i].at = (int)((int64_t)i * frameCount / n);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &calls[i]};
    epoll_ctl(ep, EPOLL_CTL_ADD, calls[i].fd, &e);
  }
  int64_t start = now(), measureFrom = start + (int64_t)(warm * 1e9), end = measureFrom + (int64_t)(measure * 1e9), next = start;
  double cpu = 0;
  for (uint64_t k = 0;;) {
    int64_t t = now();
    if (!measuring && t >= measureFrom) { measuring = 1; cpu = cpuSeconds(); printf("START\n"); fflush(stdout); }
    if (t >= end) break;
    while (start + (int64_t)(k / n) * period + (int64_t)(k % n) * period / n <= t) push(&calls[k++ % n]);
    next += tick; t = now(); if (next < t) next = t;
    listenUntil(ep, next);
  }
  printf("END\n"); cpu = cpuSeconds() - cpu;
  printf("{\"calls\":%d,\"due\":%.0f,\"sent\":%lu,\"received\":%lu,\"starved\":%lu,\"blocked\":%lu,\"p50Us\":%.0f,\"p99Us\":%.0f,\"generatorCpu\":%.3f}\n",
         n, n * rate * measure, sent, received, starved, blocked, percentile(.5), percentile(.99), cpu / measure);
  return 0;
}
