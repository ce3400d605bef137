// A Blob service that keeps no byte: what an upload costs its client is measured against it. And the plainest client there is, by
// which the service is measured alone.
//
//   blob-sink serve                                     says "ready PORT"; ends when its standard input does
//   blob-sink load PORT put|block COUNT BYTES CONNECTIONS   so many bodies as Put Blob or Put Block; says "seconds S"
//   blob-sink files PORT CONNECTIONS                    the files whose paths are the lines of its standard input, read and sent once, in
//                                                       blocks of 4 MiB where they are larger; says "cpu S", its processor time
//
// Any name, key and signature is taken. Bodies are dropped in the kernel (MSG_TRUNC), so checksums are not compared: the answer
// gives back those that came. Remembered are paths, sizes, block lists and metadata. Lines on the standard input ask for more; each
// answer ends with an empty line:
//
//   counts   "requests N", "media_bytes N" (bodies of Put Blob and Put Block), "refused N" (answers of 400 and above to a PUT)
//   blobs    "COMMITS BYTES SHA256 PATH" for each committed blob
//   forget   nothing is there any more, and nothing is counted
#include "blob-sink.h"

#include <stdlib.h>
#include <string.h>

int checked(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "serve") == 0) {
        return serve();
    }
    if (count == 7 && strcmp(arguments[1], "load") == 0) {
        return load(atoi(arguments[2]), arguments[3], atol(arguments[4]), atol(arguments[5]), atoi(arguments[6]));
    }
    if (count == 4 && strcmp(arguments[1], "files") == 0) {
        return load_files(atoi(arguments[2]), atoi(arguments[3]));
    }
    fprintf(stderr, "usage: blob-sink serve | load PORT put|block COUNT BYTES CONNECTIONS | files PORT CONNECTIONS\n");
    return 64;
}
