/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "number.h"

const char options_help[] =
    "Options of every command, before or after it:\n"
    "  --port auto|linux|mock   where the devices are: this Xen guest, or a mock of one in this\n"
    "                           process (auto: the guest; the mock if --mock-disk is given)\n"
    "  --mock-disk FILE         put FILE into the mock as a disk, vbd/51712 and on; repeatable\n"
    "  --output text|json       how list, info and store print (text)\n"
    "  --timeout MS             how long to wait for a peer (30000; 0: for ever)\n"
    "  -v, --verbose            tell on standard error what is going on\n"
    "  -h, --help, --version\n";

enum {
    LONG_PORT = 256,
    LONG_MOCK_DISK,
    LONG_OUTPUT,
    LONG_TIMEOUT,
    LONG_VERSION,
    LONG_OFFSET,
    LONG_LENGTH,
    LONG_IN,
    LONG_OUT,
    LONG_TAKE_OVER
};

static const struct option table[] = {
    {"port", required_argument, NULL, LONG_PORT},
    {"mock-disk", required_argument, NULL, LONG_MOCK_DISK},
    {"output", required_argument, NULL, LONG_OUTPUT},
    {"timeout", required_argument, NULL, LONG_TIMEOUT},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, LONG_VERSION},
    {"offset", required_argument, NULL, LONG_OFFSET},
    {"length", required_argument, NULL, LONG_LENGTH},
    {"in", required_argument, NULL, LONG_IN},
    {"out", required_argument, NULL, LONG_OUT},
    {"take-over", no_argument, NULL, LONG_TAKE_OVER},
    {NULL, 0, NULL, 0},
};

/* The command options' bits, by name. */
static const struct {
    unsigned bit;
    const char *name;
} bits[] = {
    {OPTION_OFFSET, "--offset"}, {OPTION_LENGTH, "--length"},       {OPTION_IN, "--in"},
    {OPTION_OUT, "--out"},       {OPTION_TAKE_OVER, "--take-over"},
};

/* ------------------------------------------------------------------------------------ values -- */

/* The index of `text` in `choices`, which ends with NULL; -1 after complaining. */
static int choose(const char *name, const char *text, const char *const *choices)
{
    char all[64] = "";

    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0)
            return i;
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", choices[i]);
    }
    complain(STATUS_USAGE, "%s: '%s' is none of %s", name, text, all);
    return -1;
}

static bool take_port(struct options *options, const char *text)
{
    static const char *const choices[] = {"auto", "linux", "mock", NULL};
    int choice = choose("--port", text, choices);

    if (choice >= 0)
        options->port = (enum port_choice)choice;
    return choice >= 0;
}

static bool take_output(struct options *options, const char *text)
{
    static const char *const choices[] = {"text", "json", NULL};
    int choice = choose("--output", text, choices);

    options->json = choice == 1;
    return choice >= 0;
}

static bool take_timeout(struct options *options, const char *text)
{
    uint64_t ms;

    if (!number_parse("--timeout", text, false, UINT32_MAX, &ms))
        return false;
    options->timeout_ms = (uint32_t)ms;
    return true;
}

static bool take(struct command_line *line, int option)
{
    struct options *options = &line->options;

    switch (option) {
    case LONG_PORT:
        return take_port(options, optarg);
    case LONG_MOCK_DISK:
        options->mock_disks[options->mock_disk_count++] = optarg;
        return true;
    case LONG_OUTPUT:
        return take_output(options, optarg);
    case LONG_TIMEOUT:
        return take_timeout(options, optarg);
    case 'v':
        options->verbose = true;
        return true;
    case 'h':
        line->help = true;
        return true;
    case LONG_VERSION:
        line->version = true;
        return true;
    case LONG_OFFSET:
        options->given |= OPTION_OFFSET;
        return number_parse("--offset", optarg, true, UINT64_MAX, &options->offset);
    case LONG_LENGTH:
        options->given |= OPTION_LENGTH;
        return number_parse("--length", optarg, true, UINT64_MAX, &options->length);
    case LONG_IN:
        options->given |= OPTION_IN;
        options->in = optarg;
        return true;
    case LONG_OUT:
        options->given |= OPTION_OUT;
        options->out = optarg;
        return true;
    case LONG_TAKE_OVER:
        options->given |= OPTION_TAKE_OVER;
        options->take_over = true;
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------------------------- the line -- */

/* getopt has already moved on, to the word behind the one at fault. */
static bool complain_of_option(int answer, char **argv)
{
    const char *word = argv[optind - 1];

    if (answer == ':')
        complain(STATUS_USAGE, "%s: a value is missing", word);
    else if (optopt && strncmp(word, "--", 2) == 0)
        complain(STATUS_USAGE, "%s: this option takes no value", word);
    else if (optopt)
        complain(STATUS_USAGE, "there is no option -%c; see 'xenpv --help'", optopt);
    else
        complain(STATUS_USAGE, "there is no option %s; see 'xenpv --help'", word);
    return false;
}

/* --mock-disk says where the devices are, unless --port says otherwise. */
static bool settle_port(struct options *options)
{
    if (options->mock_disk_count == 0 || options->port == PORT_MOCK)
        return true;
    if (options->port == PORT_LINUX) {
        complain(STATUS_USAGE, "--mock-disk: there are no mock disks with --port linux");
        return false;
    }
    options->port = PORT_MOCK;
    return true;
}

bool options_parse(int argc, char **argv, struct command_line *line)
{
    int option;

    *line = (struct command_line){.options = {.timeout_ms = 30000}};
    line->options.mock_disks = calloc((size_t)argc + 1, sizeof(*line->options.mock_disks));
    if (!line->options.mock_disks) {
        complain(STATUS_ENVIRONMENT, "out of memory");
        return false;
    }
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":vh", table, NULL)) != -1) {
        if (option == '?' || option == ':')
            return complain_of_option(option, argv);
        if (!take(line, option))
            return false;
    }
    line->words = argv + optind;
    line->word_count = argc - optind;
    return settle_port(&line->options);
}

bool options_suit(const struct options *options, const struct command *command)
{
    unsigned unknown = options->given & ~command->options;

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (unknown & bits[i].bit) {
            complain(STATUS_USAGE, "%s: '%s' has no such option; see 'xenpv help %s'", bits[i].name,
                     command->name, command->name);
            return false;
        }
    return true;
}

void options_free(struct command_line *line)
{
    free(line->options.mock_disks);
}
