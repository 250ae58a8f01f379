/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include <xenpv/error.h>

#include "cli.h"
#include "complain.h"
#include "options.h"
#include "os.h"

static const struct command *const families[] = {list_commands,  info_commands,    store_commands,
                                                 blk_commands,   net_commands,     bench_commands,
                                                 agent_commands, message_commands, time_commands};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

/* How many of the words begin a command's name: all its words, or the first of two. 0: it is
 * another command. */
static int words_matched(const struct command *command, char **words, int count)
{
    size_t length = count > 0 ? strlen(words[0]) : 0;
    const char *second;

    if (length == 0 || strncmp(command->name, words[0], length) != 0)
        return 0;
    if (command->name[length] == '\0')
        return 1;
    if (command->name[length] != ' ')
        return 0;
    second = command->name + length + 1;
    return count > 1 && strcmp(second, words[1]) == 0 ? 2 : 1;
}

static int word_count(const struct command *command)
{
    return strchr(command->name, ' ') ? 2 : 1;
}

/* The command that the words name in full, or NULL. */
static const struct command *find(char **words, int count)
{
    for (size_t f = 0; f < FAMILIES; f++)
        for (const struct command *command = families[f]; command->name; command++)
            if (words_matched(command, words, count) == word_count(command))
                return command;
    return NULL;
}

/* -------------------------------------------------------------------------------------- help -- */

static void print_synopsis(const struct command *command)
{
    printf("  xenpv %s%s%s\n", command->name, command->arguments[0] ? " " : "", command->arguments);
}

static void help_all(void)
{
    printf("usage: xenpv [OPTION]... COMMAND\n\n"
           "Looks at and uses the Xen PV devices of this guest.\n\n");
    for (size_t f = 0; f < FAMILIES; f++)
        for (const struct command *command = families[f]; command->name; command++)
            printf("  %-12s %s\n", command->name, command->summary);
    printf("  %-12s %s\n\n%s\n", "help", "tell more of a command: xenpv help COMMAND",
           options_help);
    printf("Exit status: 0 done, 1 the device or its peer failed, 2 wrong usage, 4 the machine\n"
           "lacks something (no Xen, no permission, a file that cannot be opened), 128 + N ended\n"
           "by signal N.\n");
}

/* Every command that the words name, in full or by their first word. */
static int help_some(char **words, int count)
{
    uint64_t options = 0;
    int shown = 0;

    for (size_t f = 0; f < FAMILIES; f++)
        for (const struct command *command = families[f]; command->name; command++) {
            int matched = words_matched(command, words, count);

            if (matched == 0 || (matched < word_count(command) && count > 1))
                continue;
            printf("%s", shown++ ? "\n" : "");
            print_synopsis(command);
            printf("%s", command->help);
            options |= command->options;
        }
    if (shown == 0)
        return complain(STATUS_USAGE, "there is no command '%s%s%s'; see 'xenpv --help'", words[0],
                        count > 1 ? " " : "", count > 1 ? words[1] : "");
    printf("\n");
    options_print_form_help(options);
    printf("%s", options_help);
    return STATUS_DONE;
}

static int help(char **words, int count)
{
    if (count > 0)
        return help_some(words, count);
    help_all();
    return STATUS_DONE;
}

/* --------------------------------------------------------------------------------------- run -- */

static int complain_of_command(char **words, int count)
{
    char choices[128] = "";

    if (count == 0)
        return complain(STATUS_USAGE, "no command is given; see 'xenpv --help'");
    for (size_t f = 0; f < FAMILIES; f++)
        for (const struct command *command = families[f]; command->name; command++)
            if (words_matched(command, words, 1))
                snprintf(choices + strlen(choices), sizeof(choices) - strlen(choices), "%s'%s'",
                         choices[0] ? ", " : "", command->name);
    if (choices[0])
        return complain(STATUS_USAGE, "'%s%s%s' is no command: there are %s", words[0],
                        count > 1 ? " " : "", count > 1 ? words[1] : "", choices);
    return complain(STATUS_USAGE, "there is no command '%s'; see 'xenpv --help'", words[0]);
}

static int run(const struct command_line *line)
{
    const struct command *command = find(line->words, line->word_count);
    int count;

    if (!command)
        return complain_of_command(line->words, line->word_count);
    count = line->word_count - word_count(command);
    if (count < command->least || (command->most >= 0 && count > command->most))
        return complain(STATUS_USAGE, "%s: too %s arguments; usage: xenpv %s%s%s", command->name,
                        count < command->least ? "few" : "many", command->name,
                        command->arguments[0] ? " " : "", command->arguments);
    if (!options_suit(&line->options, command))
        return STATUS_USAGE;
    return command->run(&line->options, count, line->words + word_count(command));
}

static int dispatch(const struct command_line *line)
{
    bool asks_help = line->word_count > 0 && strcmp(line->words[0], "help") == 0;

    if (line->version) {
        printf("xenpv %s\n", xenpv_version());
        return STATUS_DONE;
    }
    if (asks_help)
        return help(line->words + 1, line->word_count - 1);
    if (line->help)
        return help(line->words, line->word_count);
    return run(line);
}

/* Whatever was printed must have arrived. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE)
        return STATUS_PIPE;
    return complain(STATUS_ENVIRONMENT, "cannot write standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    struct command_line line;
    int status = STATUS_USAGE;

    os_setup();
    if (options_parse(argc, argv, &line))
        status = dispatch(&line);
    options_free(&line);
    status = finish_output(status);
    return os_stop_signal() ? 128 + os_stop_signal() : status;
}
