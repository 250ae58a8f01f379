/* SPDX-License-Identifier: MIT */
#include "agent_say.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_plain(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f || strchr("\"=\\", *text))
            return false;
    return true;
}

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c >= ' ' && c < 0x7f)
            putchar(c);
        else
            printf("\\u%04x", c);
    }
    putchar('"');
}

static void print_field(const struct options *options, const char *key, const char *text,
                        bool first)
{
    if (options->json)
        printf("%s\"%s\": ", first ? "{" : ", ", key);
    else
        printf("%s%s=", first ? "" : " ", key);
    if (!options->json && is_plain(text))
        printf("%s", text);
    else
        print_quoted(text);
}

void agent_say(const struct options *options, const char *event, const struct agent_field *fields)
{
    time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    char when[32] = "";

    if (utc)
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", utc);
    print_field(options, "time", when, true);
    print_field(options, "event", event, false);
    for (; fields->key; fields++)
        if (fields->text)
            print_field(options, fields->key, fields->text, false);
    printf("%s\n", options->json ? "}" : "");
    fflush(stdout);
}
