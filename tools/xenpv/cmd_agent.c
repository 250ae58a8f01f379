/* SPDX-License-Identifier: MIT */
/* xenpv agent: guest services, in the foreground until a signal ends it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_evidence.h"
#include "agent_facts.h"
#include "agent_hooks.h"
#include "agent_say.h"
#include "complain.h"
#include "machine.h"
#include "os_process.h"
#include "store.h"

/* For so long a request of unknown kind is looked into, and a suspend may turn out to have been one
 * after which the guest is another. */
#define INQUIRY_MS     1000u
#define LOOK_MS        20u
#define LOOKS_PER_JOBS 25u    /* to ask an init for its jobs takes a process */
#define CLOSE_MS       5000u  /* for the store to take back what was published */
#define MOCK_REST_MS   2000u  /* between two things that the mock's toolstack does */
#define PUBLISH_MS     1000u  /* a device that connects changes its directory many times */
#define AGAIN_MS       10000u /* a quota that was used up may have room again */
#define PULSE_MS       5000u  /* between two questions whether the store is there still */
#define NEVER          UINT64_MAX

struct service {
    const struct options *options;
    struct machine *machine;
    struct xenpv_port port; /* the machine's, with our own log */
    struct xenpv_sys_ops sys;
    struct xenpv_agent *agent;
    void *memory;
    struct agent_facts facts;
    bool stale;             /* what is published may not be true any more */
    uint64_t publish_after; /* for its sake not before */
    struct agent_evidence evidence;
    xenpv_handle addresses;
    bool watching;                    /* the directory of devices; its address is the cookie */
    unsigned script;                  /* how many of --mock-control are done */
    uint64_t inquiry_ends, next_look; /* NEVER: there is none */
    unsigned looks;
    uint64_t suspend_settled; /* NEVER: no suspend waits to be called a checkpoint */
    bool suspend_told;        /* its hooks have been run, and it is not over */
    uint64_t pulse;           /* NEVER: this store cannot be lost */
    bool lost;
};

/* The port's log has the port's context, and there is one agent in a process. */
static const struct options *log_options;

static void on_log(void *ctx, enum xenpv_log_level level, const char *line)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};

    (void)ctx;
    agent_say(log_options, "log",
              (const struct agent_field[]){{"level", levels[level]}, {"text", line}, {NULL, NULL}});
}

static uint64_t now_of(const struct service *service)
{
    return machine_now(service->machine);
}

static bool is_active(const struct service *service)
{
    struct xenpv_agent_info info;

    xenpv_agent_get_info(service->agent, &info);
    return info.active;
}

/* ------------------------------------------------------------------------------------ events -- */

static void run_hooks(struct service *service, const struct xenpv_agent_event *event,
                      const char *evidence)
{
    agent_hooks_run(service->options, event, is_active(service), evidence);
}

static void run_hooks_for(struct service *service, uint32_t type, const char *evidence)
{
    const struct xenpv_agent_event event = {.type = type};

    service->inquiry_ends = NEVER;
    run_hooks(service, &event, evidence);
}

static void begin_inquiry(struct service *service)
{
    if (service->inquiry_ends != NEVER)
        return;
    service->inquiry_ends = now_of(service) + INQUIRY_MS;
    service->next_look = now_of(service);
    service->looks = 0;
}

static void tell_suspend(struct service *service, const char *evidence)
{
    if (!service->suspend_told)
        run_hooks_for(service, XENPV_AGENT_SUSPEND, evidence);
    service->inquiry_ends = NEVER;
    service->suspend_told = true;
}

static void tell_resume(struct service *service, const struct xenpv_agent_event *event)
{
    if (service->inquiry_ends != NEVER)
        tell_suspend(service, "resume");
    run_hooks(service, event, service->suspend_settled == NEVER ? "domid" : "kernel-log");
    service->suspend_settled = NEVER;
    service->suspend_told = false;
}

/* After a suspend all watches fire, that of the domain's number, which tells it, often last. */
static void on_event(struct service *service, const struct xenpv_agent_event *event)
{
    bool suspended = service->suspend_settled != NEVER;

    switch (event->type) {
    case XENPV_AGENT_SHUTDOWN:
        if (suspended)
            tell_suspend(service, "kernel-log");
        else
            begin_inquiry(service);
        break;
    case XENPV_AGENT_RESUME:
        tell_resume(service, event);
        break;
    default:
        if (event->type == XENPV_AGENT_SYSRQ && event->key == '\0' && suspended)
            return;
        /* What was of unknown kind was this. */
        if (event->type <= XENPV_AGENT_S4)
            service->inquiry_ends = NEVER;
        service->suspend_told |= event->type == XENPV_AGENT_SUSPEND;
        run_hooks(service, event, "store");
    }
}

static void look_for_kind(struct service *service)
{
    uint32_t type;

    if (agent_evidence_process(&service->evidence, &type)) {
        run_hooks_for(service, type, "process");
    } else if (service->looks++ % LOOKS_PER_JOBS == LOOKS_PER_JOBS - 1 &&
               agent_evidence_job(&service->evidence, &type)) {
        run_hooks_for(service, type, "job");
    }
}

static bool has_traces(const struct service *service)
{
    return service->options->port != PORT_MOCK;
}

/* What the kernel has told of a suspend; the domain's number tells whether it is another guest. */
static void look_for_suspend(struct service *service)
{
    if (!has_traces(service) || !agent_evidence_suspended(&service->evidence))
        return;
    if (service->inquiry_ends != NEVER)
        tell_suspend(service, "kernel-log");
    service->suspend_settled = now_of(service) + INQUIRY_MS;
}

static void inquire(struct service *service)
{
    bool traces = has_traces(service);

    if (now_of(service) >= service->suspend_settled)
        xenpv_agent_resumed(service->agent);
    if (service->inquiry_ends == NEVER || now_of(service) < service->next_look)
        return;
    service->next_look = now_of(service) + LOOK_MS;
    if (traces)
        look_for_kind(service);
    if (service->inquiry_ends != NEVER && (!traces || now_of(service) >= service->inquiry_ends))
        run_hooks_for(service, XENPV_AGENT_SHUTDOWN, "none");
}

/* The kernel's words are there before anything that follows from a suspend. */
static enum xenpv_agent_state step(struct service *service)
{
    enum xenpv_agent_state state;
    struct xenpv_agent_event event;

    look_for_suspend(service);
    state = xenpv_agent_step(service->agent, now_of(service));
    while (xenpv_agent_poll(service->agent, &event))
        on_event(service, &event);
    return state;
}

/* --------------------------------------------------------------------------------- published -- */

static void publish(struct service *service)
{
    struct agent_facts *facts = &service->facts;
    char number[16];
    int error;

    agent_facts_collect(service->machine, facts);
    error = xenpv_agent_publish(service->agent, facts->keys, facts->count);
    snprintf(number, sizeof(number), "%u", facts->left_out);
    if (error || facts->left_out)
        agent_say(service->options, "publish",
                  (const struct agent_field[]){{"error", error ? xenpv_error_text(error) : NULL},
                                               {"left_out", number},
                                               {NULL, NULL}});
}

/* Nobody tells when a quota has room again; the pulse wakes us. */
static bool is_to_try_again(const struct service *service)
{
    struct xenpv_agent_info info;

    xenpv_agent_get_info(service->agent, &info);
    return info.refused && service->pulse != NEVER &&
           now_of(service) >= service->publish_after + AGAIN_MS;
}

static void publish_changes(struct service *service)
{
    const struct xenpv_port *port = &service->port;
    bool moved = agent_facts_moved(service->addresses);

    if (service->watching)
        moved |= port->store->fired(port->ctx, &service->watching);
    service->stale |= moved || is_to_try_again(service);
    if (!service->stale || now_of(service) < service->publish_after)
        return;
    service->stale = false;
    service->publish_after = now_of(service) + PUBLISH_MS;
    publish(service);
}

/* --------------------------------------------------------------------------------- beginning -- */

/* Linux obeys control/ and memory/target itself wherever it knows that it runs on Xen. */
static bool kernel_obeys(const struct options *options)
{
    FILE *file = options->port == PORT_MOCK ? NULL : fopen("/sys/hypervisor/type", "re");

    if (file)
        fclose(file);
    return file != NULL;
}

static uint32_t obeyed(const struct service *service)
{
    const uint32_t possible = (XENPV_AGENT_BIT(XENPV_AGENT_S4 + 1u) - 1) |
                              XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ) |
                              XENPV_AGENT_BIT(XENPV_AGENT_MEMORY);
    uint32_t events = agent_hooks_events(service->options) & possible;

    return service->port.memory ? events | XENPV_AGENT_BIT(XENPV_AGENT_MEMORY) : events;
}

static int make_agent(struct service *service)
{
    const struct options *options = service->options;
    struct xenpv_agent_config config;
    bool kernel = kernel_obeys(options);

    service->port = service->machine->port;
    service->sys = *service->port.sys;
    service->sys.log = on_log;
    service->port.sys = &service->sys;
    log_options = options;
    xenpv_agent_config_init(&config, &service->port);
    config.active = options->active && !kernel;
    config.enabled = obeyed(service);
    config.keys = 2 * AGENT_FACTS_MAX;
    if (options->active && kernel)
        on_log(NULL, XENPV_LOG_WARN, "--active: this kernel obeys control/ and memory/target");
    service->memory = os_alloc(xenpv_agent_size(&config), 16);
    if (!service->memory)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    return xenpv_agent_init(service->memory, &config, &service->agent)
               ? complain(STATUS_FAILED, "internal error: the agent's configuration")
               : STATUS_DONE;
}

static int drop_privileges(const struct service *service)
{
    const char *user = service->options->user;

    if (!user || os_become(user) == 0)
        return STATUS_DONE;
    return complain(STATUS_ENVIRONMENT, "--user %s: %s", user,
                    errno == ENOENT ? "there is no such user" : strerror(errno));
}

static int begin(struct service *service)
{
    const struct xenpv_port *port = &service->machine->port;
    int status;

    service->addresses = agent_facts_open(service->options);
    agent_evidence_open(&service->evidence);
    service->pulse = port->caps & XENPV_CAP_WAIT ? now_of(service) : NEVER;
    service->inquiry_ends = service->suspend_settled = NEVER;
    status = make_agent(service);
    if (status == STATUS_DONE)
        status = drop_privileges(service);
    if (status != STATUS_DONE)
        return status;
    service->watching = port->store->watch(port->ctx, "device", &service->watching) == 0;
    step(service);
    publish(service);
    service->publish_after = now_of(service);
    step(service);
    agent_say(service->options, "started",
              (const struct agent_field[]){{"mode", is_active(service) ? "active" : "passive"},
                                           {"version", xenpv_version()},
                                           {"user", service->options->user},
                                           {NULL, NULL}});
    return STATUS_DONE;
}

/* -------------------------------------------------------------------------------------- life -- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline_of(const struct service *service)
{
    uint64_t deadline = sooner(xenpv_agent_deadline(service->agent), service->suspend_settled);

    if (service->stale)
        deadline = sooner(deadline, service->publish_after);
    return service->inquiry_ends == NEVER ? deadline : sooner(deadline, service->next_look);
}

static void wait_until(struct service *service, uint64_t deadline)
{
    const struct os_wait waits[] = {
        {.handle = service->addresses},
        {.handle = service->evidence.kernel_log < 0 || service->options->port == PORT_MOCK
                       ? XENPV_NO_HANDLE
                       : service->evidence.kernel_log}};

    machine_wait(service->machine, waits, 2, deadline);
}

static void turn(struct service *service)
{
    step(service);
    publish_changes(service);
    inquire(service);
    step(service);
}

/* What the mock's toolstack does next; false: it has no more to do. */
static bool follow_script(struct service *service)
{
    const struct options *options = service->options;
    uint64_t until = now_of(service) + MOCK_REST_MS;

    if (service->script == options->mock_control_count)
        return false;
    while (now_of(service) < until) {
        turn(service);
        wait_until(service, sooner(until, deadline_of(service)));
    }
    machine_toolstack(service->machine, options->mock_controls[service->script++]);
    return true;
}

/* libxenstore makes no connection anew, and wakes nobody when the one it has is gone. */
static bool is_lost(struct service *service)
{
    uint64_t now = now_of(service);

    if (now >= service->pulse) {
        service->pulse = now + PULSE_MS;
        service->lost = store_is_lost(service->machine);
    }
    return service->lost;
}

static void live(struct service *service)
{
    bool scripted = service->options->mock_control_count > 0;

    service->machine->listens = true;
    while (!os_stop_signal() && !is_lost(service)) {
        turn(service);
        if (scripted && deadline_of(service) == NEVER && !follow_script(service))
            return;
        if (!scripted || deadline_of(service) != NEVER)
            wait_until(service, sooner(deadline_of(service), service->pulse));
    }
}

/* What fired just before the signal is not lost: a shutdown sends one to everybody. */
static void look_once_more(struct service *service)
{
    uint64_t until = now_of(service) + INQUIRY_MS;

    service->machine->listens = false;
    xenpv_agent_look(service->agent);
    turn(service);
    while (deadline_of(service) != NEVER && now_of(service) < until) {
        wait_until(service, sooner(until, deadline_of(service)));
        turn(service);
    }
    if (service->inquiry_ends != NEVER)
        run_hooks_for(service, XENPV_AGENT_SHUTDOWN, "none");
}

static void end(struct service *service)
{
    const struct xenpv_port *port = &service->port;
    uint64_t until = now_of(service) + CLOSE_MS;

    if (service->agent) {
        xenpv_agent_close(service->agent);
        while (!service->lost && step(service) != XENPV_AGENT_CLOSED && now_of(service) < until)
            wait_until(service, sooner(until, deadline_of(service)));
        xenpv_agent_abandon(service->agent);
    }
    if (service->watching)
        port->store->unwatch(port->ctx, "device", &service->watching);
    os_free(service->memory);
    agent_evidence_close(&service->evidence);
    agent_facts_close(service->addresses);
}

/* Until a signal ends it, or there is no store to serve any more. */
static int serve(struct service *service)
{
    const struct options *options = service->options;

    live(service);
    if (service->lost) {
        agent_say(
            options, "ended",
            (const struct agent_field[]){{"error", xenpv_error_text(XENPV_ESTORE)}, {NULL, NULL}});
        return complain(STATUS_FAILED,
                        "agent: the XenStore is gone, and this process cannot reach it any more: "
                        "start the agent again once it is back");
    }
    look_once_more(service);
    agent_say(options, "ended", (const struct agent_field[]){{NULL, NULL}});
    os_stop_obeyed();
    return STATUS_DONE;
}

static int run_agent(const struct options *options, int count, char **arguments)
{
    struct service *service;
    int status;

    (void)count;
    (void)arguments;
    if (!agent_hooks_check(options))
        return STATUS_USAGE;
    service = calloc(1, sizeof(*service));
    if (!service)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    service->options = options;
    status = machine_open(options, MACHINE_STORE, &service->machine);
    if (status == STATUS_DONE) {
        status = begin(service);
        if (status == STATUS_DONE)
            status = serve(service);
        end(service);
        status = machine_close(service->machine, status);
    }
    free(service);
    return status;
}

const struct command agent_commands[] = {
    {.name = "agent",
     .arguments = "",
     .summary = "serve this guest's toolstack: shutdown, suspend, memory, addresses",
     .help =
         "Runs a --hook when the toolstack asks for something, publishes version, addresses and\n"
         "devices, and logs a line for each event, until a signal ends it.\n\n"
         "  --hook EVENT=COMMAND     run the shell's COMMAND at each poweroff, reboot, halt,\n"
         "                           suspend, s3, s4, shutdown (its kind is not known), resume,\n"
         "                           sysrq, memory; for as long as --timeout says; repeatable\n"
         "  --active                 obey what has a hook, where no kernel does: acknowledge\n"
         "                           and advertise it\n"
         "  --user NAME              be that user once all is open; hooks, too, are run by him\n"
         "  --mock-control PATH=VALUE   the mock's toolstack writes a node of this guest, or with\n"
         "                           resume= saves and restores it; repeatable; then it ends\n",
     .options = OPTION_HOOK | OPTION_ACTIVE | OPTION_USER | OPTION_MOCK_CONTROL,
     .least = 0,
     .most = 0,
     .run = run_agent},
    {.name = NULL},
};
