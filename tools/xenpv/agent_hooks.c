/* SPDX-License-Identifier: MIT */
#include "agent_hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent_say.h"
#include "complain.h"
#include "os.h"
#include "os_process.h"

/* The event that a hook names, and its command; XENPV_AGENT_EVENTS: none. */
static uint32_t parse(const char *hook, const char **command)
{
    const char *equals = strchr(hook, '=');
    uint32_t type = 0;

    for (; equals && type < XENPV_AGENT_EVENTS; type++) {
        const char *name = xenpv_agent_event_name(type);

        if (strlen(name) == (size_t)(equals - hook) && strncmp(name, hook, strlen(name)) == 0)
            break;
    }
    *command = equals ? equals + 1 : "";
    return equals ? type : XENPV_AGENT_EVENTS;
}

bool agent_hooks_check(const struct options *options)
{
    const char *command;
    char names[128] = "";

    for (uint32_t type = 0; type < XENPV_AGENT_EVENTS; type++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", type ? ", " : "",
                 xenpv_agent_event_name(type));
    for (unsigned i = 0; i < options->hook_count; i++) {
        if (parse(options->hooks[i], &command) == XENPV_AGENT_EVENTS) {
            complain(STATUS_USAGE, "--hook: '%s' is no EVENT=COMMAND with one of %s",
                     options->hooks[i], names);
            return false;
        }
        if (*command == '\0') {
            complain(STATUS_USAGE, "--hook: '%s' has no command", options->hooks[i]);
            return false;
        }
    }
    return true;
}

uint32_t agent_hooks_events(const struct options *options)
{
    const char *command;
    uint32_t events = 0;

    for (unsigned i = 0; i < options->hook_count; i++)
        events |= XENPV_AGENT_BIT(parse(options->hooks[i], &command));
    return events;
}

struct texts {
    char key[2], target[24], goal[24];
};

static void make_texts(struct texts *texts, const struct xenpv_agent_event *event)
{
    *texts = (struct texts){.key = {event->key}};
    if (event->type != XENPV_AGENT_MEMORY)
        return;
    snprintf(texts->target, sizeof(texts->target), "%" PRIu64, event->target_kib);
    snprintf(texts->goal, sizeof(texts->goal), "%" PRIu64, event->goal);
}

static const char *or_none(const char *text)
{
    return *text ? text : NULL;
}

static void run_one(const struct options *options, const struct xenpv_agent_event *event,
                    const char *command, char *const *variables)
{
    uint64_t start = os_now();
    /* Ours are JSON objects, and nothing else. */
    int status =
        os_run(command, variables, options->json ? OS_STDERR : OS_STDOUT, options->timeout_ms);
    char number[16], seconds[32];

    snprintf(number, sizeof(number), "%d", status);
    snprintf(seconds, sizeof(seconds), "%" PRIu64 ".%03" PRIu64, (os_now() - start) / 1000,
             (os_now() - start) % 1000);
    agent_say(options, "hook",
              (const struct agent_field[]){{"for", xenpv_agent_event_name(event->type)},
                                           {"command", command},
                                           {"status", status == OS_RUN_TIMED_OUT ? "timeout"
                                                      : status == OS_RUN_FAILED  ? strerror(errno)
                                                                                 : number},
                                           {"seconds", seconds},
                                           {NULL, NULL}});
}

void agent_hooks_run(const struct options *options, const struct xenpv_agent_event *event,
                     bool active, const char *evidence)
{
    const char *name = xenpv_agent_event_name(event->type), *mode = active ? "active" : "passive";
    char lines[6][64];
    char *variables[7] = {NULL};
    struct texts texts;
    const char *command;

    make_texts(&texts, event);
    agent_say(options, name,
              (const struct agent_field[]){{"mode", mode},
                                           {"evidence", evidence},
                                           {"key", or_none(texts.key)},
                                           {"target_kib", or_none(texts.target)},
                                           {"goal_pages", or_none(texts.goal)},
                                           {NULL, NULL}});
    snprintf(lines[0], sizeof(lines[0]), "XENPV_EVENT=%s", name);
    snprintf(lines[1], sizeof(lines[1]), "XENPV_MODE=%s", mode);
    snprintf(lines[2], sizeof(lines[2]), "XENPV_EVIDENCE=%s", evidence);
    snprintf(lines[3], sizeof(lines[3]), "XENPV_SYSRQ=%s", texts.key);
    snprintf(lines[4], sizeof(lines[4]), "XENPV_TARGET_KIB=%s", texts.target);
    snprintf(lines[5], sizeof(lines[5]), "XENPV_GOAL_PAGES=%s", texts.goal);
    for (size_t i = 0; i < 6; i++)
        variables[i] = lines[i];
    for (unsigned i = 0; i < options->hook_count; i++)
        if (parse(options->hooks[i], &command) == event->type)
            run_one(options, event, command, variables);
}
