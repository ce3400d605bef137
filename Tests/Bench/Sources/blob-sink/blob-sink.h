// What main.c, serve.c, blobs.c and load.c share.
#ifndef BLOB_SINK_H
#define BLOB_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/// Ends the process with a message when the result says that a call failed.
int checked(int result, const char *what);

// --- blobs.c: what is remembered of each blob --------------------------------------------------------------------------

typedef struct {
    char *id;
    int64_t bytes;
} block;

typedef struct {
    block *items;
    size_t count, room;
} block_list;

typedef struct blob {
    /// "/ACCOUNT/CONTAINER/NAME" as in the request, still escaped.
    char *path;
    /// How often a commit was accepted; 0 while there are uncommitted blocks only.
    int commits;
    int64_t bytes;
    block_list committed, uncommitted;
    /// Lines of headers, each with its end, that HEAD gives back: x-ms-meta-*, Content-Type, Content-MD5.
    char *headers;
    struct blob *next;
} blob;

/// The blob of a path; made where `make` says so, else NULL.
blob *find_blob(const char *path, int make);
void forget_blobs(void);
/// One block more, or another size for one that is there already.
void put_block(blob *b, const char *id, int64_t bytes);
/// Commits what a block list names. 0 when a block is not there; then nothing is changed.
int commit_blocks(blob *b, const char *xml);
/// The answer to Get Block List; the caller frees it.
char *list_blocks(const blob *b);
/// A line for each committed blob: "COMMITS BYTES SHA256 PATH"; the hash is x-ms-meta-sha256, or "-".
void write_blobs(FILE *to);

// --- serve.c and load.c --------------------------------------------------------------------------------------------------

int serve(void);
int load_files(int port, int connections);
int load(int port, const char *shape, long requests, long bytes, int connections);

#endif
