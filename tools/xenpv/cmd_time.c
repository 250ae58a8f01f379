/* SPDX-License-Identifier: MIT */
/* xenpv time: the wallclock as the hypervisor has it. */
#include <inttypes.h>
#include <time.h>

#include "complain.h"
#include "json.h"
#include "machine.h"

#define BILLION UINT64_C(1000000000)

static void print(const struct options *options, uint64_t ns)
{
    time_t seconds = (time_t)(ns / BILLION);
    const struct tm *utc = gmtime(&seconds);
    char text[32] = "";

    if (utc)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", utc);
    if (options->json) {
        char whole[48];

        snprintf(whole, sizeof(whole), "%s.%09" PRIu64 "Z", text, ns % BILLION);
        json_open(NULL, '{');
        json_number("ns", ns);
        json_text("utc", whole);
        json_close('}');
        return;
    }
    printf("%s.%09" PRIu64 "Z\n", text, ns % BILLION);
}

static int tell(struct machine *machine)
{
    const struct xenpv_port *port = &machine->port;
    uint64_t ns = 0;
    int error = port->sys->wallclock ? port->sys->wallclock(port->ctx, &ns) : XENPV_ENOTSUP;

    if (error == XENPV_ENOTSUP)
        return complain(STATUS_ENVIRONMENT,
                        "time: the hypervisor's wallclock cannot be read from here: this system "
                        "shows it to its kernel alone");
    if (error)
        return complain(status_of_error(error), "time: the hypervisor's wallclock: %s",
                        xenpv_error_text(error));
    print(machine->options, ns);
    return STATUS_DONE;
}

static int run(const struct options *options, int count, char **arguments)
{
    struct machine *machine;
    int status;

    (void)count;
    (void)arguments;
    status = machine_open(options, MACHINE_STORE, &machine);
    return status == STATUS_DONE ? machine_close(machine, tell(machine)) : status;
}

const struct command time_commands[] = {
    {.name = "time",
     .arguments = "",
     .summary = "tell the time that the hypervisor has",
     .help = "Prints the hypervisor's wallclock, UTC. Where only the kernel can read it, as on\n"
             "Linux, it says so: exit status 4.\n",
     .least = 0,
     .most = 0,
     .run = run},
    {.name = NULL},
};
