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

/* For so long a request of unknown kind is looked into, and a suspend may turn out to have been one
 * after which the guest is another. */
#define INQUIRY_MS     1000u
#define LOOK_MS        20u
#define LOOKS_PER_JOBS 25u   /* to ask an init for its jobs takes a process */
#define CLOSE_MS       5000u /* for the store to take back what was published */
#define MOCK_REST_MS   2000u /* between two things that the mock's toolstack does */
#define NEVER          UINT64_MAX

struct session {
    const struct options *options;
    struct machine *machine;
    struct xenpv_port port; /* the machine's, with our own log */
    struct xenpv_sys_ops sys;
    struct xenpv_agent *agent;
    void *memory;
    struct agent_facts facts;
    struct agent_evidence evidence;
    xenpv_handle addresses;
    bool watching;                    /* the directory of devices; its address is the cookie */
    unsigned script;                  /* how many of --mock-control are done */
    uint64_t inquiry_ends, next_look; /* NEVER: there is none */
    unsigned looks;
    uint64_t suspend_settled; /* NEVER: no suspend waits to be called a checkpoint */
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

static uint64_t now_of(const struct session *session)
{
    return machine_now(session->machine);
}

static bool is_active(const struct session *session)
{
    struct xenpv_agent_info info;

    xenpv_agent_get_info(session->agent, &info);
    return info.active;
}

/* ------------------------------------------------------------------------------------- events -- */

static void run_hooks(struct session *session, const struct xenpv_agent_event *event,
                      const char *evidence)
{
    agent_hooks_run(session->options, event, is_active(session), evidence);
}

static void run_hooks_for(struct session *session, uint32_t type, const char *evidence)
{
    const struct xenpv_agent_event event = {.type = type};

    session->inquiry_ends = NEVER;
    run_hooks(session, &event, evidence);
}

static void begin_inquiry(struct session *session)
{
    if (session->inquiry_ends != NEVER)
        return;
    session->inquiry_ends = now_of(session) + INQUIRY_MS;
    session->next_look = now_of(session);
    session->looks = 0;
}

static void on_event(struct session *session, const struct xenpv_agent_event *event)
{
    switch (event->type) {
    case XENPV_AGENT_SHUTDOWN:
        begin_inquiry(session);
        break;
    case XENPV_AGENT_RESUME:
        if (session->inquiry_ends != NEVER)
            run_hooks_for(session, XENPV_AGENT_SUSPEND, "resume");
        run_hooks(session, event, session->suspend_settled == NEVER ? "domid" : "kernel-log");
        session->suspend_settled = NEVER;
        break;
    default:
        /* What was of unknown kind was this. */
        if (event->type <= XENPV_AGENT_S4)
            session->inquiry_ends = NEVER;
        run_hooks(session, event, "store");
    }
}

static void look_for_kind(struct session *session)
{
    uint32_t type;

    if (agent_evidence_process(&session->evidence, &type)) {
        run_hooks_for(session, type, "process");
    } else if (session->looks++ % LOOKS_PER_JOBS == LOOKS_PER_JOBS - 1 &&
               agent_evidence_job(&session->evidence, &type)) {
        run_hooks_for(session, type, "job");
    }
}

/* What the kernel has told of a suspend; the domain's number tells whether it is another guest. */
static void look_for_suspend(struct session *session)
{
    uint64_t now = now_of(session);

    if (agent_evidence_suspended(&session->evidence)) {
        if (session->inquiry_ends != NEVER)
            run_hooks_for(session, XENPV_AGENT_SUSPEND, "kernel-log");
        session->suspend_settled = now + INQUIRY_MS;
    }
    if (now < session->suspend_settled)
        return;
    xenpv_agent_resumed(session->agent);
}

static void inquire(struct session *session)
{
    bool traces = session->options->port != PORT_MOCK;

    if (traces)
        look_for_suspend(session);
    if (session->inquiry_ends == NEVER || now_of(session) < session->next_look)
        return;
    session->next_look = now_of(session) + LOOK_MS;
    if (traces)
        look_for_kind(session);
    if (session->inquiry_ends != NEVER && (!traces || now_of(session) >= session->inquiry_ends))
        run_hooks_for(session, XENPV_AGENT_SHUTDOWN, "none");
}

static enum xenpv_agent_state step(struct session *session)
{
    enum xenpv_agent_state state = xenpv_agent_step(session->agent, now_of(session));
    struct xenpv_agent_event event;

    while (xenpv_agent_poll(session->agent, &event))
        on_event(session, &event);
    return state;
}

/* ---------------------------------------------------------------------------------- published -- */

static void publish(struct session *session)
{
    struct agent_facts *facts = &session->facts;
    char number[16];
    int error;

    agent_facts_collect(session->machine, facts);
    error = xenpv_agent_publish(session->agent, facts->keys, facts->count);
    snprintf(number, sizeof(number), "%u", facts->left_out);
    if (error || facts->left_out)
        agent_say(session->options, "publish",
                  (const struct agent_field[]){{"error", error ? xenpv_error_text(error) : NULL},
                                               {"left_out", number},
                                               {NULL, NULL}});
}

static void publish_changes(struct session *session)
{
    const struct xenpv_port *port = &session->port;
    bool moved = agent_facts_moved(session->addresses);

    if (session->watching)
        moved |= port->store->fired(port->ctx, &session->watching);
    if (moved)
        publish(session);
}

/* ---------------------------------------------------------------------------------- beginning -- */

/* Linux obeys control/ and memory/target itself wherever it knows that it runs on Xen. */
static bool kernel_obeys(const struct options *options)
{
    FILE *file = options->port == PORT_MOCK ? NULL : fopen("/sys/hypervisor/type", "re");

    if (file)
        fclose(file);
    return file != NULL;
}

static uint32_t obeyed(const struct session *session)
{
    const uint32_t possible = (XENPV_AGENT_BIT(XENPV_AGENT_S4 + 1u) - 1) |
                              XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ) |
                              XENPV_AGENT_BIT(XENPV_AGENT_MEMORY);
    uint32_t events = agent_hooks_events(session->options) & possible;

    return session->port.memory ? events | XENPV_AGENT_BIT(XENPV_AGENT_MEMORY) : events;
}

static int make_agent(struct session *session)
{
    const struct options *options = session->options;
    struct xenpv_agent_config config;
    bool kernel = kernel_obeys(options);

    session->port = session->machine->port;
    session->sys = *session->port.sys;
    session->sys.log = on_log;
    session->port.sys = &session->sys;
    log_options = options;
    xenpv_agent_config_init(&config, &session->port);
    config.active = options->active && !kernel;
    config.enabled = obeyed(session);
    config.keys = 2 * AGENT_FACTS_MAX;
    if (options->active && kernel)
        on_log(NULL, XENPV_LOG_WARN, "--active: this kernel obeys control/ and memory/target");
    session->memory = os_alloc(xenpv_agent_size(&config), 16);
    if (!session->memory)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    return xenpv_agent_init(session->memory, &config, &session->agent)
               ? complain(STATUS_FAILED, "internal error: the agent's configuration")
               : STATUS_DONE;
}

static int drop_privileges(const struct session *session)
{
    const char *user = session->options->user;

    if (!user || os_become(user) == 0)
        return STATUS_DONE;
    return complain(STATUS_ENVIRONMENT, "--user %s: %s", user,
                    errno == ENOENT ? "there is no such user" : strerror(errno));
}

static int begin(struct session *session)
{
    const struct xenpv_port *port = &session->machine->port;
    int status;

    session->addresses = agent_facts_open(session->options);
    agent_evidence_open(&session->evidence);
    session->inquiry_ends = session->suspend_settled = NEVER;
    status = make_agent(session);
    if (status == STATUS_DONE)
        status = drop_privileges(session);
    if (status != STATUS_DONE)
        return status;
    session->watching = port->store->watch(port->ctx, "device", &session->watching) == 0;
    step(session);
    publish(session);
    step(session);
    agent_say(session->options, "started",
              (const struct agent_field[]){{"mode", is_active(session) ? "active" : "passive"},
                                           {"version", xenpv_version()},
                                           {"user", session->options->user},
                                           {NULL, NULL}});
    return STATUS_DONE;
}

/* --------------------------------------------------------------------------------------- life -- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline_of(const struct session *session)
{
    uint64_t deadline = sooner(xenpv_agent_deadline(session->agent), session->suspend_settled);

    return session->inquiry_ends == NEVER ? deadline : sooner(deadline, session->next_look);
}

static void wait_until(struct session *session, uint64_t deadline)
{
    const struct os_wait waits[] = {
        {.handle = session->addresses},
        {.handle = session->evidence.kernel_log < 0 || session->options->port == PORT_MOCK
                       ? XENPV_NO_HANDLE
                       : session->evidence.kernel_log}};

    machine_wait(session->machine, waits, 2, deadline);
}

static void turn(struct session *session)
{
    step(session);
    publish_changes(session);
    inquire(session);
    step(session);
}

/* What the mock's toolstack does next; false: it has no more to do. */
static bool follow_script(struct session *session)
{
    const struct options *options = session->options;
    uint64_t until = now_of(session) + MOCK_REST_MS;

    if (session->script == options->mock_control_count)
        return false;
    while (now_of(session) < until) {
        turn(session);
        wait_until(session, sooner(until, deadline_of(session)));
    }
    machine_toolstack(session->machine, options->mock_controls[session->script++]);
    return true;
}

static void live(struct session *session)
{
    bool scripted = session->options->mock_control_count > 0;

    session->machine->listens = true;
    while (!os_stop_signal()) {
        turn(session);
        if (scripted && deadline_of(session) == NEVER && !follow_script(session))
            return;
        if (!scripted || deadline_of(session) != NEVER)
            wait_until(session, deadline_of(session));
    }
}

/* What fired just before the signal is not lost: a shutdown sends one to everybody. */
static void look_once_more(struct session *session)
{
    uint64_t until = now_of(session) + INQUIRY_MS;

    session->machine->listens = false;
    xenpv_agent_look(session->agent);
    turn(session);
    while (deadline_of(session) != NEVER && now_of(session) < until) {
        wait_until(session, sooner(until, deadline_of(session)));
        turn(session);
    }
    if (session->inquiry_ends != NEVER)
        run_hooks_for(session, XENPV_AGENT_SHUTDOWN, "none");
}

static void end(struct session *session)
{
    const struct xenpv_port *port = &session->port;
    uint64_t until = now_of(session) + CLOSE_MS;

    if (session->agent) {
        xenpv_agent_close(session->agent);
        while (step(session) != XENPV_AGENT_CLOSED && now_of(session) < until)
            wait_until(session, sooner(until, deadline_of(session)));
        xenpv_agent_abandon(session->agent);
    }
    if (session->watching)
        port->store->unwatch(port->ctx, "device", &session->watching);
    os_free(session->memory);
    agent_evidence_close(&session->evidence);
    agent_facts_close(session->addresses);
}

static int run_agent(const struct options *options, int count, char **arguments)
{
    struct session *session;
    int status;

    (void)count;
    (void)arguments;
    if (!agent_hooks_check(options))
        return STATUS_USAGE;
    session = calloc(1, sizeof(*session));
    if (!session)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    session->options = options;
    status = machine_open(options, MACHINE_STORE, &session->machine);
    if (status == STATUS_DONE) {
        status = begin(session);
        if (status == STATUS_DONE) {
            live(session);
            look_once_more(session);
            agent_say(options, "ended", (const struct agent_field[]){{NULL, NULL}});
            os_stop_obeyed();
        }
        end(session);
        status = machine_close(session->machine, status);
    }
    free(session);
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
