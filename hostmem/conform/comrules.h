#ifndef HOSTMEM_CONFORM_COMRULES_H
#define HOSTMEM_CONFORM_COMRULES_H

#include "trial.h"

/*
 * The rules that every COM object keeps, to be asked of hosts, heaps and class factories.
 */

/* Every interface that the public headers name. */
struct hm_face {
	const char *name;
	const IID *iid;
};
extern const struct hm_face hm_faces[];
extern const size_t hm_face_count;

/* ---- One question ---- */

/* A face that has to be there, with a reference of the caller's; NULL after a failed check. */
IUnknown *hm_face_of(struct hm_trial *t, void *object, REFIID riid);
/* Only asks; no check. */
bool hm_has_face(void *object, REFIID riid);
/* The object has no such face: a failure and NULL, in a ".codes" E_NOINTERFACE; one check. */
bool hm_refused_face(struct hm_trial *t, void *object, REFIID riid);
/* The count of an object that nobody else uses. */
ULONG hm_count_of(void *object);
/* Whether AddRef tells the count.  It is for tests only, and the CLR's own objects say 1: of
 * an object like these it cannot be seen who counts, which is no fault of the rest. */
bool hm_tells_count(void *object);
/* Whether two pointers are of one object. */
bool hm_same_object(void *first, void *second);
/* A copy with one bit the other way round; bit 0 to 127. */
IID hm_flipped(const IID *iid, unsigned bit);

/* ---- Rules, each of all faces that the object has ---- */

/* From every face one reaches every other, and the same ones are missing everywhere. */
void hm_com_reaches(struct hm_trial *t, void *object);
/* The face for IID_IUnknown is one pointer. */
void hm_com_identity(struct hm_trial *t, void *object);
/* So is every other. */
void hm_com_same_pointers(struct hm_trial *t, void *object);
/* A NULL out pointer is refused. */
void hm_com_null_out(struct hm_trial *t, void *object);
/* So is no name, and the out pointer is cleared. */
void hm_com_null_name(struct hm_trial *t, void *object);
/* Names that nobody has, and near misses of `iid`; nothing is counted for them. */
void hm_com_unknown(struct hm_trial *t, void *object, const IID *iid);
/* A pointer that is given out counts as one; skipped if the count is not told. */
void hm_com_counts(struct hm_trial *t, void *object);
/* AddRef and Release tell the new count. */
void hm_com_tells_counts(struct hm_trial *t, void *object);

#endif
