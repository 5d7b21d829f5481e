#include "sequence.h"
#include "base.h"

bool sequence_insert(struct sequence_set *set, uint64_t number)
{
	uint64_t word = number >> 6, mask = 1ull << (number & 63);
	if (word >= set->words) {
		uint64_t words = most(word + 1, most(set->words * 2, 1024));
		set->bits = grown(set->bits, set->words, words, sizeof *set->bits);
		set->words = words;
	}
	if (set->bits[word] & mask) return false;
	set->bits[word] |= mask;
	set->members++;
	set->end = most(set->end, number + 1);
	return true;
}

bool sequence_contains(const struct sequence_set *set, uint64_t number)
{
	uint64_t word = number >> 6;
	return word < set->words && (set->bits[word] >> (number & 63) & 1) != 0;
}
