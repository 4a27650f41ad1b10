/* top: all KPIs and alerts, in a terminal again and again, with a search, orders and pages. */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { REFRESH_MS = 1000, ALERTS_SHOWN = 5, ALERT_LINES = 2 * ALERTS_SHOWN + 6, LINES_MIN = 5 };

struct top {
    struct ctl *ctl;
    struct ctl_remote *remote;
    struct ctl_rows rows;
    size_t sort;
    bool reverse;
    char match[64];
    bool entering;      /* the text of the search is being typed */
    size_t page, pages; /* from 0; how many there are */
    bool over;
};

/* ---- one picture ---- */

static size_t matching(const struct top *top)
{
    size_t n = 0;

    for (size_t i = 0; i < top->rows.n; i++)
        n += ctl_row_matches(&top->rows.at[i], top->match);
    return n;
}

/* At most `most` matching rows, after `skip` of them. */
static void print_rows(const struct top *top, size_t skip, size_t most)
{
    for (size_t i = 0; i < top->rows.n && most; i++) {
        const struct ctl_row *row = &top->rows.at[i];
        if (!ctl_row_matches(row, top->match) || (skip && skip--))
            continue;
        if (top->ctl->json)
            printf("%s\n", row->json);
        else
            ctl_row_print(row->kpi, row->window, row->field, row->field_len, row->json, row->json_len);
        most--;
    }
}

static size_t screen_lines(void)
{
    struct winsize size;
    size_t lines = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;

    return lines > ALERT_LINES + LINES_MIN ? lines - ALERT_LINES : LINES_MIN;
}

static bool draw(struct top *top)
{
    size_t n = matching(top), lines = screen_lines();

    top->pages = n ? (n + lines - 1) / lines : 1;
    if (top->page >= top->pages)
        top->page = top->pages - 1;
    ctl_rows_sort(&top->rows, top->sort, top->reverse);
    fputs("\033[H\033[2J", stdout);
    puts(ctl_heading);
    print_rows(top, top->page * lines, lines);
    if (!n)
        puts(top->rows.n ? "nothing matches" : "no figures yet");
    putchar('\n');
    bool ok = ctl_alerts_print(top->ctl, top->remote, ALERTS_SHOWN, ALERTS_SHOWN);
    printf("\npage %zu of %zu, %zu rows by %s%s", top->page + 1, top->pages, n, ctl_sort_name(top->sort),
           top->reverse ? ", reversed" : "");
    if (*top->match && !top->entering)
        printf(", with `%s`", top->match);
    if (top->entering)
        printf("\nsearch: %s_", top->match);
    else
        printf("\n/ search  s order  r reverse  n p pages  q end");
    fflush(stdout);
    return ok;
}

/* ---- keys ---- */

static void type(struct top *top, char key)
{
    size_t len = strlen(top->match);

    if (key == '\n' || key == '\r') {
        top->entering = false;
    } else if (key == 27 || key == 3) {
        top->entering = false;
        *top->match = '\0';
    } else if ((key == 127 || key == 8) && len) {
        while (len > 0 && ((unsigned char)top->match[--len] & 0xc0) == 0x80)
            ; /* a whole character */
        top->match[len] = '\0';
    } else if ((unsigned char)key >= ' ' && key != 127 && len + 1 < sizeof(top->match)) {
        top->match[len] = key;
        top->match[len + 1] = '\0';
    }
    top->page = 0;
}

static void press(struct top *top, char key)
{
    switch (key) {
    case '/':
        top->entering = true;
        *top->match = '\0';
        break;
    case 's': top->sort = ctl_sort_name(top->sort + 1) ? top->sort + 1 : 0; break;
    case 'r': top->reverse = !top->reverse; break;
    case ' ':
    case 'n': top->page += top->page + 1 < top->pages; return;
    case 'b':
    case 'p': top->page -= top->page > 0; return;
    case 27: *top->match = '\0'; break;
    case 3: /* Control-C */
    case 4:
    case 'q': top->over = true; break;
    default: return;
    }
    top->page = 0;
}

/* Page Up and Page Down, and up and down, are sequences that begin with Escape. */
static char known_sequence(const char *keys, size_t n, size_t *used)
{
    static const struct {
        const char *text;
        char key;
    } known[] = {{"\033[5~", 'p'}, {"\033[6~", 'n'}, {"\033[A", 'p'}, {"\033[B", 'n'}};

    for (size_t i = 0; i < KPID_COUNT_OF(known); i++)
        if (strlen(known[i].text) <= n && !memcmp(keys, known[i].text, strlen(known[i].text))) {
            *used = strlen(known[i].text);
            return known[i].key;
        }
    *used = n > 1 && keys[1] == '[' ? n : 1; /* what is not known is passed over */
    return *used > 1 ? 0 : 27;
}

static void read_keys(struct top *top)
{
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

    top->over = n == 0 || (n < 0 && errno != EINTR);
    for (size_t i = 0, used; n > 0 && i < (size_t)n && !top->over; i += used) {
        char key = keys[i];
        used = 1;
        if (key == 27)
            key = known_sequence(keys + i, (size_t)n - i, &used);
        if (top->entering)
            type(top, key);
        else if (key)
            press(top, key);
    }
}

/* ---- the terminal ---- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Keys as they are pressed, without echo. False: standard input is no terminal. */
static bool terminal_raw(struct termios *saved)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, saved) != 0)
        return false;
    raw = *saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static bool live(struct top *top)
{
    struct termios saved;
    bool raw = terminal_raw(&saved), ok = true;

    while (ok && !top->over) {
        int64_t until = now_ms() + REFRESH_MS, left;
        ok = ctl_rows_read(&top->rows, top->ctl, top->remote) && draw(top);
        while (ok && !top->over && (left = until - now_ms()) > 0) {
            struct pollfd input = {STDIN_FILENO, POLLIN, 0};
            if (poll(&input, 1, (int)left) <= 0)
                continue;
            read_keys(top);
            ok = top->over || draw(top);
        }
    }
    putchar('\n');
    if (raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    return ok;
}

static bool once(struct top *top)
{
    bool json = top->ctl->json, ok = ctl_rows_read(&top->rows, top->ctl, top->remote);

    if (!ok)
        return false;
    ctl_rows_sort(&top->rows, top->sort, false);
    if (!json)
        puts(ctl_heading);
    print_rows(top, 0, SIZE_MAX);
    if (!json && !top->rows.n)
        fputs(ctl_no_figures, stderr);
    else if (!json && !matching(top))
        fprintf(stderr, "kpictl: nothing matches '%s'\n", top->match);
    if (!json)
        putchar('\n');
    return ctl_alerts_print(top->ctl, top->remote, SIZE_MAX, json ? 0 : ALERTS_SHOWN);
}

int ctl_top(struct ctl *ctl)
{
    bool is_live = !ctl->once && !ctl->json && isatty(STDOUT_FILENO);
    /* People look for what is worst; who reads a text finds what the configuration says where it says it. */
    int sort = ctl_sort_find(ctl->sort ? ctl->sort : is_live ? "deviation" : "config");
    struct top top = {.ctl = ctl};

    if (sort < 0) {
        fprintf(stderr, "kpictl: top can't be sorted by '%s', but by", ctl->sort);
        for (size_t i = 0; ctl_sort_name(i); i++)
            fprintf(stderr, "%s %s", i ? "," : "", ctl_sort_name(i));
        fputc('\n', stderr);
        return CTL_USAGE;
    }
    top.sort = (size_t)sort;
    snprintf(top.match, sizeof(top.match), "%s", ctl->match ? ctl->match : "");
    top.remote = ctl_remote_open(ctl);
    if (!top.remote)
        return CTL_FAILED;
    bool ok = is_live ? live(&top) : once(&top);
    ctl_rows_release(&top.rows);
    ctl_remote_close(top.remote);
    return ok ? CTL_OK : CTL_FAILED;
}
