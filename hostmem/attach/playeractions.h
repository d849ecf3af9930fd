#ifndef HOSTMEM_ATTACH_PLAYERACTIONS_H
#define HOSTMEM_ATTACH_PLAYERACTIONS_H

#include "player.h"

/* Does what a step says; the caller has the turn. */
void hm_player_act(struct hm_player *player, const struct hm_step *step);

/* Puts fault rules in force, none of which are: all of them, or those that are so from the
 * start; on failure some are.  And takes them away. */
HRESULT hm_player_arm(struct hm_player *player, bool all);
void hm_player_disarm(struct hm_player *player);

static inline bool hm_player_is_stopped(const struct hm_player *player)
{
	return atomic_load(&player->stopped) != 0;
}

#endif
