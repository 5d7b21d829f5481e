/*
 * What a publishing run leaves for a draining one, so that the latter can say which acknowledged messages are missing:
 *
 *   restante-bench 1
 *   run 123 publishers 2
 *   0 sent 100 acknowledged 0-49 51-99
 *   1 sent 0 acknowledged
 */
#ifndef STATE_FILE_H
#define STATE_FILE_H

void state_write(const char *path);
/* Sets options.run_id and options.pubs; before publishers_init(). */
void state_read_head(const char *path);
/* Fills the publishers' numbers; after publishers_init(). */
void state_read(const char *path);
#endif
