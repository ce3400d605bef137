// What the sink remembers: a chained table of blobs by path.
#define _GNU_SOURCE
#include "blob-sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 1 << 14 };
static blob *chains[CHAINS];

static size_t chain_of(const char *path) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *path; path++) {
        hash = (hash ^ (unsigned char)*path) * UINT64_C(1099511628211);
    }
    return hash % CHAINS;
}

blob *find_blob(const char *path, int make) {
    blob **chain = &chains[chain_of(path)];
    for (blob *b = *chain; b; b = b->next) {
        if (strcmp(b->path, path) == 0) {
            return b;
        }
    }
    if (!make) {
        return NULL;
    }
    blob *made = calloc(1, sizeof *made);
    made->path = strdup(path);
    made->next = *chain;
    return *chain = made;
}

static void clear(block_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].id);
    }
    free(list->items);
    memset(list, 0, sizeof *list);
}

void forget_blobs(void) {
    for (size_t i = 0; i < CHAINS; i++) {
        while (chains[i]) {
            blob *b = chains[i];
            chains[i] = b->next;
            clear(&b->committed);
            clear(&b->uncommitted);
            free(b->headers);
            free(b->path);
            free(b);
        }
    }
}

/// Looks from a place on and then from the start: blocks are committed nearly in the order in which they came.
static block *find_block(const block_list *list, const char *id, size_t length, size_t from) {
    for (size_t i = 0; i < list->count; i++) {
        block *one = &list->items[(from + i) % list->count];
        if (strncmp(one->id, id, length) == 0 && one->id[length] == 0) {
            return one;
        }
    }
    return NULL;
}

static void append(block_list *list, const char *id, size_t length, int64_t bytes) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->items = realloc(list->items, list->room * sizeof *list->items);
    }
    list->items[list->count++] = (block){.id = strndup(id, length), .bytes = bytes};
}

void put_block(blob *b, const char *id, int64_t bytes) {
    block *there = find_block(&b->uncommitted, id, strlen(id), 0);
    if (there) {
        there->bytes = bytes;
    } else {
        append(&b->uncommitted, id, strlen(id), bytes);
    }
}

/// The next element of a block list, "<Latest>ID</Latest>" whatever its name; NULL when there is none.
static const char *next_id(const char *from, size_t *length) {
    static const char *names[] = {"<Latest>", "<Uncommitted>", "<Committed>"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = strstr(from, names[i]);
        if (at && (!found || at < found)) {
            found = at;
        }
        // Who writes one kind writes no other, and to look for the others takes a pass over the whole list.
        if (found) {
            break;
        }
    }
    const char *start = found ? strchr(found, '>') + 1 : NULL;
    const char *end = start ? strchr(start, '<') : NULL;
    *length = end ? (size_t)(end - start) : 0;
    return end ? start : NULL;
}

int commit_blocks(blob *b, const char *xml) {
    block_list list = {0};
    int64_t bytes = 0;
    size_t length = 0, place = 0;
    for (const char *id = next_id(xml, &length); id; id = next_id(id + length, &length)) {
        block *one = find_block(&b->uncommitted, id, length, place);
        if (one) {
            place = (size_t)(one - b->uncommitted.items) + 1;
        } else {
            one = find_block(&b->committed, id, length, list.count);
        }
        if (!one) {
            clear(&list);
            return 0;
        }
        append(&list, id, length, one->bytes);
        bytes += one->bytes;
    }
    clear(&b->committed);
    clear(&b->uncommitted);
    b->committed = list;
    b->bytes = bytes;
    b->commits++;
    return 1;
}

char *list_blocks(const blob *b) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    const struct {
        const char *name;
        const block_list *list;
    } parts[] = {{"CommittedBlocks", &b->committed}, {"UncommittedBlocks", &b->uncommitted}};
    fputs("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>", out);
    for (size_t part = 0; part < 2; part++) {
        fprintf(out, "<%s>", parts[part].name);
        for (size_t i = 0; i < parts[part].list->count; i++) {
            const block *one = &parts[part].list->items[i];
            fprintf(out, "<Block><Name>%s</Name><Size>%" PRId64 "</Size></Block>", one->id, one->bytes);
        }
        fprintf(out, "</%s>", parts[part].name);
    }
    fputs("</BlockList>", out);
    fclose(out);
    return text;
}

void write_blobs(FILE *to) {
    static const char name[] = "x-ms-meta-sha256: ";
    for (size_t i = 0; i < CHAINS; i++) {
        for (const blob *b = chains[i]; b; b = b->next) {
            if (b->commits == 0) {
                continue;
            }
            const char *hash = b->headers ? strcasestr(b->headers, name) : NULL;
            hash = hash ? hash + sizeof name - 1 : "-";
            fprintf(to, "%d %" PRId64 " %.*s %s\n", b->commits, b->bytes, (int)strcspn(hash, "\r"), hash, b->path);
        }
    }
}
