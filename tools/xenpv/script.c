/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <string.h>

/* Where it reads, and where it writes what it has read, which is never further on. */
struct cut {
    const char *from;
    char *to;
    bool quoted;
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *cut_byte(struct cut *cut)
{
    int high = digit(cut->from[1]), low = high < 0 ? -1 : digit(cut->from[2]);

    if (low < 0)
        return "\\x without two hexadecimal digits behind it";
    *cut->to++ = (char)(high * 16 + low);
    cut->from += 3;
    return NULL;
}

/* Behind the backslash. A letter that means nothing yet is kept free. */
static const char *cut_escape(struct cut *cut)
{
    static const char letters[] = "ntr", meanings[] = "\n\t\r";
    char c = *cut->from;
    const char *letter = c ? strchr(letters, c) : NULL;

    if (c == 'x')
        return cut_byte(cut);
    if (c == '\0')
        return "a backslash with nothing behind it";
    if (!letter && ((c >= '0' && c <= '9') || digit((char)(c | 32)) >= 0 ||
                    ((c | 32) >= 'a' && (c | 32) <= 'z')))
        return "there is no such escape: \\n, \\t, \\r, \\xNN, or a sign";
    *cut->to++ = letter ? meanings[letter - letters] : c;
    cut->from++;
    return NULL;
}

static bool ends_word(const struct cut *cut)
{
    char c = *cut->from;

    return c == '\0' || (!cut->quoted && (c == ' ' || c == '\t'));
}

static const char *cut_word(struct cut *cut)
{
    const char *wrong = NULL;

    while (!wrong && !ends_word(cut)) {
        if (*cut->from == '"') {
            cut->quoted = !cut->quoted;
            cut->from++;
        } else if (*cut->from == '\\') {
            cut->from++;
            wrong = cut_escape(cut);
        } else {
            *cut->to++ = *cut->from++;
        }
    }
    if (!wrong && cut->quoted)
        wrong = "a \" that is not closed";
    return wrong;
}

static const char *cut_line(struct script_line *line, char *text)
{
    struct cut cut = {.from = text};

    for (;;) {
        struct script_word *word = &line->words[line->count];
        const char *wrong;
        bool last;

        cut.from += strspn(cut.from, " \t");
        if (*cut.from == '\0' || *cut.from == '#')
            return NULL;
        if (line->count == SCRIPT_WORDS)
            return "too many words";
        cut.to = text + (cut.from - text);
        word->bytes = cut.to;
        wrong = cut_word(&cut);
        if (wrong)
            return wrong;
        last = *cut.from == '\0';
        *cut.to = '\0';
        word->length = (uint32_t)(cut.to - word->bytes);
        line->count++;
        if (last)
            return NULL;
        cut.from++;
    }
}

bool script_next(struct script_line *line)
{
    char *text = line->next, *end;

    if (text == line->end)
        return false;
    end = memchr(text, '\n', (size_t)(line->end - text));
    line->next = end ? end + 1 : line->end;
    end = end ? end : line->end;
    if (end > text && end[-1] == '\r')
        end--;
    *end = '\0';
    line->number++;
    line->count = 0;
    line->wrong = memchr(text, '\0', (size_t)(end - text)) ? "a NUL; write \\x00" : NULL;
    if (!line->wrong)
        line->wrong = cut_line(line, text);
    return true;
}
