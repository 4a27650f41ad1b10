/* Life cycle of a commit, see kpid/flow/page.h. */
#include "kpid/flow/page.h"

#include <stdlib.h>

void kpid_commit_release(struct kpid_commit *commit)
{
    kpid_buf_release(&commit->meta);
    for (size_t i = 0; i < commit->n_pages; i++)
        free(commit->pages[i].bytes);
    free(commit->pages);
    free(commit->dropped);
    *commit = (struct kpid_commit){.meta = KPID_BUF_INIT};
}
