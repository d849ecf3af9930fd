/*
 * The rules of COM, whichever object they are asked of.
 *
 * What an object is may differ: a manager is a face of its host or an object of its own.  So
 * nothing here knows which faces there should be; each rule looks which the object has and
 * is asked of those.
 *
 * Where a rule goes over pairs of faces, a pair is one check.
 */
#include "comrules.h"
#include "memory.h"

#include <string.h>

#define FACE(name) \
	{ \
#name, &IID_##name \
	}

const struct hm_face hm_faces[] = {
	FACE(IUnknown),
	FACE(IClassFactory),
	FACE(IHostControl),
	FACE(IHostMemoryManager),
	FACE(IHostGCManager),
	FACE(IHostMemoryControl),
	FACE(IHostMemorySimulator),
	FACE(IHostMemoryPages),
	FACE(IHostMemoryMonitor),
	FACE(IHostMalloc),
	FACE(IHostMalloc2),
	FACE(ICLRMemoryNotificationCallback),
};
const size_t hm_face_count = HM_ROWS(hm_faces);

enum { BITS = 8 * sizeof(IID) };

/* ---- One question ---- */

/* The face with a reference, or NULL. */
static IUnknown *ask(void *object, REFIID riid)
{
	void *face = NULL;

	if (FAILED(IUnknown_QueryInterface((IUnknown *)object, riid, &face)))
		return NULL;
	return (IUnknown *)face;
}

IUnknown *hm_face_of(struct hm_trial *t, void *object, REFIID riid)
{
	void *face = HM_POISON;
	HRESULT hr = IUnknown_QueryInterface((IUnknown *)object, riid, &face);

	if (!CHECK_HR(t, hr, S_OK) || !CHECK(t, face != NULL && face != HM_POISON))
		return NULL;
	return (IUnknown *)face;
}

bool hm_has_face(void *object, REFIID riid)
{
	IUnknown *face = ask(object, riid);

	if (face != NULL)
		(void)IUnknown_Release(face);
	return face != NULL;
}

bool hm_refused_face(struct hm_trial *t, void *object, REFIID riid)
{
	void *face = HM_POISON;
	HRESULT hr = IUnknown_QueryInterface((IUnknown *)object, riid, &face);

	if (t->codes)
		return CHECK_HR(t, hr, E_NOINTERFACE);
	return CHECK(t, FAILED(hr) && face == NULL);
}

ULONG hm_count_of(void *object)
{
	(void)IUnknown_AddRef((IUnknown *)object);
	return IUnknown_Release((IUnknown *)object);
}

bool hm_tells_count(void *object)
{
	ULONG first = IUnknown_AddRef((IUnknown *)object);
	ULONG second = IUnknown_AddRef((IUnknown *)object);

	(void)IUnknown_Release((IUnknown *)object);
	(void)IUnknown_Release((IUnknown *)object);
	return second == first + 1;
}

bool hm_same_object(void *first, void *second)
{
	IUnknown *one = ask(first, &IID_IUnknown), *other = ask(second, &IID_IUnknown);
	bool same = one != NULL && one == other;

	if (one != NULL)
		(void)IUnknown_Release(one);
	if (other != NULL)
		(void)IUnknown_Release(other);
	return same;
}

IID hm_flipped(const IID *iid, unsigned bit)
{
	unsigned char bytes[sizeof(IID)];
	IID flipped;

	memcpy(bytes, iid, sizeof(bytes));
	bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
	memcpy(&flipped, bytes, sizeof(flipped));
	return flipped;
}

/* ---- Rules ---- */

/* Calls `rule` with each face that there is; the reference is only lent. */
typedef void (*rule_of_face)(struct hm_trial *t, void *object, IUnknown *face,
			     const char *name);

static void ask_each(struct hm_trial *t, void *object, rule_of_face rule)
{
	for (size_t i = 0; i < hm_face_count; i++) {
		IUnknown *face = ask(object, hm_faces[i].iid);

		if (face == NULL)
			continue;
		hm_row(t, "%s", hm_faces[i].name);
		rule(t, object, face, hm_faces[i].name);
		(void)IUnknown_Release(face);
	}
	hm_row(t, "%s", "");
}

static void reaches(struct hm_trial *t, void *object, IUnknown *face, const char *name)
{
	for (size_t i = 0; i < hm_face_count; i++) {
		hm_row(t, "%s asked for %s", name, hm_faces[i].name);
		if (hm_has_face(object, hm_faces[i].iid))
			CHECK(t, hm_has_face(face, hm_faces[i].iid));
		else
			(void)hm_refused_face(t, face, hm_faces[i].iid);
	}
}

void hm_com_reaches(struct hm_trial *t, void *object)
{
	ask_each(t, object, reaches);
}

static void has_identity(struct hm_trial *t, void *object, IUnknown *face,
			 const char *name)
{
	(void)name;
	CHECK(t, hm_same_object(object, face));
}

void hm_com_identity(struct hm_trial *t, void *object)
{
	ask_each(t, object, has_identity);
}

static void is_one_pointer(struct hm_trial *t, void *object, IUnknown *face,
			   const char *name)
{
	for (size_t i = 0; i < hm_face_count; i++) {
		IUnknown *direct = ask(object, hm_faces[i].iid);
		IUnknown *through = ask(face, hm_faces[i].iid);

		hm_row(t, "%s from %s", hm_faces[i].name, name);
		if (direct != NULL) {
			CHECK_POINTER(t, through, direct);
			(void)IUnknown_Release(direct);
		}
		if (through != NULL)
			(void)IUnknown_Release(through);
	}
}

void hm_com_same_pointers(struct hm_trial *t, void *object)
{
	ask_each(t, object, is_one_pointer);
}

static void refuses_null_out(struct hm_trial *t, void *object, IUnknown *face,
			     const char *name)
{
	ULONG before = hm_count_of(face);

	(void)object;
	(void)name;
	CHECK_REFUSED(t, IUnknown_QueryInterface(face, &IID_IUnknown, NULL), E_POINTER);
	if (!t->codes)
		CHECK_SIZE(t, hm_count_of(face), before);
}

void hm_com_null_out(struct hm_trial *t, void *object)
{
	ask_each(t, object, refuses_null_out);
}

static void refuses_null_name(struct hm_trial *t, void *object, IUnknown *face,
			      const char *name)
{
	void *out = HM_POISON;

	(void)object;
	(void)name;
	CHECK_REFUSED(t, IUnknown_QueryInterface(face, NULL, &out), E_POINTER);
	if (!t->codes)
		CHECK_POINTER(t, out, NULL);
}

void hm_com_null_name(struct hm_trial *t, void *object)
{
	ask_each(t, object, refuses_null_name);
}

void hm_com_unknown(struct hm_trial *t, void *object, const IID *iid)
{
	static const struct {
		const char *what;
		IID iid;
	} rows[] = {
		{ "no name", { 0, 0, 0, { 0, 0, 0, 0, 0, 0, 0, 0 } } },
		{ "an IID of nobody's",
		  { 0x6B1A3C5E, 0x7F20, 0x4D91, { 1, 2, 3, 4, 5, 6, 7, 8 } } },
		{ "IHostControl as a comment of the IDL has it",
		  { 0x02CA073D,
		    0x7079,
		    0x4860,
		    { 0x88, 0x0A, 0xC2, 0xF7, 0xA4, 0x49, 0xC9, 0x91 } } },
		{ "IDispatch", { 0x00020400, 0, 0, { 0xC0, 0, 0, 0, 0, 0, 0, 0x46 } } },
	};
	ULONG before = hm_count_of(object);

	for (size_t i = 0; i < HM_ROWS(rows); i++) {
		hm_row(t, "%s", rows[i].what);
		(void)hm_refused_face(t, object, &rows[i].iid);
	}
	for (unsigned bit = 0; bit < BITS; bit++) {
		IID flipped = hm_flipped(iid, bit);

		hm_row(t, "bit %u flipped", bit);
		(void)hm_refused_face(t, object, &flipped);
	}
	hm_row(t, "all of them");
	if (!t->codes)
		CHECK_SIZE(t, hm_count_of(object), before);
}

void hm_com_counts(struct hm_trial *t, void *object)
{
	ULONG before = hm_count_of(object);

	if (!hm_tells_count(object)) {
		hm_skip(t, "AddRef does not tell the count");
		return;
	}
	for (size_t i = 0; i < hm_face_count; i++) {
		IUnknown *face = ask(object, hm_faces[i].iid);

		if (face == NULL)
			continue;
		hm_row(t, "%s", hm_faces[i].name);
		CHECK_SIZE(t, hm_count_of(object), before + 1);
		(void)IUnknown_Release(face);
		CHECK_SIZE(t, hm_count_of(object), before);
	}
}

static void tells_counts(struct hm_trial *t, void *object, IUnknown *face,
			 const char *name)
{
	enum { MANY = 3 };
	ULONG before = hm_count_of(face);

	(void)object;
	for (ULONG i = 1; i <= MANY; i++) {
		hm_row(t, "%s, AddRef %u", name, (unsigned)i);
		CHECK_SIZE(t, IUnknown_AddRef(face), before + i);
	}
	for (ULONG i = MANY; i-- > 0;) {
		hm_row(t, "%s, Release to %u", name, (unsigned)i);
		CHECK_SIZE(t, IUnknown_Release(face), before + i);
	}
}

void hm_com_tells_counts(struct hm_trial *t, void *object)
{
	ask_each(t, object, tells_counts);
}
