/* What a random program does, in C. The body of an event says it: id|behaviour|times|emits (random-handlers.ts). */
#include "dunlin.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

DUNLIN_DEFINE_ABI

static int is(const char *behaviour, const char *name) { return strcmp(behaviour, name) == 0; }

static int32_t misbehave(dunlin_context *context, const dunlin_event *event, const char *behaviour) {
  volatile int *nowhere = NULL;
  if (is(behaviour, "fail")) return 1;
  if (is(behaviour, "segfault")) return *nowhere;
  if (is(behaviour, "abort")) abort();
  if (is(behaviour, "exit0")) _exit(0);
  if (is(behaviour, "exit3")) exit(3);
  if (is(behaviour, "kill")) kill(getpid(), SIGKILL);
  if (is(behaviour, "hang")) for (;;) sleep(60);
  if (is(behaviour, "busy")) for (;;) __asm__ volatile("");
  if (is(behaviour, "smash")) memset(context, 0xa5, sizeof *context);
  if (is(behaviour, "smashEvent")) memset((void *)(uintptr_t)event, 0xff, sizeof *event);
  return 1;
}

static void be_odd(dunlin_context *context, const dunlin_event *event, const char *behaviour) {
  if (is(behaviour, "wait")) usleep(150 * 1000);
  if (is(behaviour, "garbage"))
    for (int i = 0; i < 3000; i++) fprintf(stderr, "%c\xff%d", i & 127, i);
  if (is(behaviour, "logFlood"))
    for (int i = 0; i < 2000; i++) dunlin_log(context, DUNLIN_INFO, DUNLIN_TEXT("line"));
  if (is(behaviour, "fork") && fork() == 0) execlp("sleep", "sleep", "300", NULL);
  if (is(behaviour, "doubleFork")) {
    pid_t child = fork();
    if (child == 0) {
      setsid();
      if (fork() == 0) execlp("sleep", "sleep", "300", NULL);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  if (is(behaviour, "answerTwice"))
    for (int i = 0; i < 2; i++) dunlin_respond(context, event, 200, "twice", 5);
  if (is(behaviour, "forge") && dunlin_open(context, DUNLIN_KIND_RESULT, event->ticket + 100000, 200, 0) == 0)
    dunlin_close(context, "forged", 6, 0);
  if (is(behaviour, "freeTwice")) {
    /* volatile: the compiler would see it. */
    void *volatile block = malloc(64);
    free(block);
    free(block);
  }
}

DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {
  char text[200] = "", id[64], behaviour[32], row[128];
  int times, emits;
  dunlin_span body = dunlin_body(event);
  memcpy(text, body.data, body.length < sizeof text ? body.length : sizeof text - 1);
  if (sscanf(text, "%63[^|]|%31[^|]|%d|%d", id, behaviour, &times, &emits) != 4) return 2;
  for (int i = 0; i < emits; i++) {
    int length = snprintf(row, sizeof row, "%s#%d#%d", id, event->attempt, i);
    dunlin_emit(context, event, DUNLIN_TEXT("random"), row, (size_t)length);
  }
  if (event->attempt <= times && !is(behaviour, "forge") && !is(behaviour, "freeTwice")) return misbehave(context, event, behaviour);
  be_odd(context, event, behaviour);
  return 0;
}
