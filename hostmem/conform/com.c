/*
 * Cases about COM: identity, references, QueryInterface, and how managers are handed out.
 *
 * The CLR adopts the reference that GetHostManager gives and never releases a manager, so a
 * host that forgets to take one is not found out by it, until somebody else does release.
 */
#include "areas.h"
#include "memory.h"

#include <string.h>

struct face {
	const char *name;
	const IID *iid;
};

/* Those that every host has. */
static const struct face faces[] = {
	{ "IUnknown", &IID_IUnknown },
	{ "IHostMemoryManager", &IID_IHostMemoryManager },
};

static HRESULT query(struct hm_trial *t, IUnknown *object, const IID *iid, void **face)
{
	HRESULT hr;

	*face = HM_POISON;
	hr = IUnknown_QueryInterface(object, iid, face);
	CHECK(t, *face != HM_POISON);
	CHECK(t, (*face != NULL) == SUCCEEDED(hr));
	return hr;
}

static ULONG count_of(IUnknown *object)
{
	(void)IUnknown_AddRef(object);
	return IUnknown_Release(object);
}

static void every_face_answers_to_its_own_name(struct hm_trial *t)
{
	for (size_t i = 0; i < HM_ROWS(faces); i++) {
		void *face;

		hm_row(t, "%s", faces[i].name);
		CHECK_HR(t, query(t, (IUnknown *)t->memory, faces[i].iid, &face), S_OK);
		if (face != NULL)
			(void)IUnknown_Release((IUnknown *)face);
	}
}

static void there_is_one_identity(struct hm_trial *t)
{
	void *first, *second, *manager;

	CHECK_HR(t, query(t, (IUnknown *)t->memory, &IID_IUnknown, &first), S_OK);
	CHECK_HR(t, query(t, (IUnknown *)t->memory, &IID_IUnknown, &second), S_OK);
	CHECK_POINTER(t, second, first);
	if (first == NULL || second == NULL)
		return;
	CHECK_HR(t, query(t, (IUnknown *)first, &IID_IHostMemoryManager, &manager), S_OK);
	if (manager != NULL)
		(void)IUnknown_Release((IUnknown *)manager);
	(void)IUnknown_Release((IUnknown *)first);
	(void)IUnknown_Release((IUnknown *)second);
}

/* The CLR never asks the manager for IHostControl, and a manager may be an object of its own:
 * only that what is given counts. */
static void every_pointer_counts(struct hm_trial *t)
{
	ULONG before = count_of((IUnknown *)t->memory);
	void *face;

	for (size_t i = 0; i < HM_ROWS(faces); i++) {
		hm_row(t, "%s", faces[i].name);
		if (FAILED(query(t, (IUnknown *)t->memory, faces[i].iid, &face)))
			continue;
		CHECK_SIZE(t, count_of((IUnknown *)t->memory), before + 1);
		(void)IUnknown_Release((IUnknown *)face);
		CHECK_SIZE(t, count_of((IUnknown *)t->memory), before);
	}
}

static void unknown_interfaces_are_refused(struct hm_trial *t)
{
	static const IID stranger = {
		0x6B1A3C5E, 0x7F20, 0x4D91, { 1, 2, 3, 4, 5, 6, 7, 8 }
	};
	ULONG before = count_of((IUnknown *)t->memory);
	void *face;

	hm_row(t, "an IID of nobody's");
	CHECK_REFUSED(t, query(t, (IUnknown *)t->memory, &stranger, &face),
		      E_NOINTERFACE);
	for (unsigned bit = 0; bit < 8 * sizeof(IID); bit++) {
		unsigned char bytes[sizeof(IID)];
		IID flipped;

		hm_row(t, "IID_IHostMemoryManager with bit %u flipped", bit);
		memcpy(bytes, &IID_IHostMemoryManager, sizeof(bytes));
		bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
		memcpy(&flipped, bytes, sizeof(flipped));
		CHECK_REFUSED(t, query(t, (IUnknown *)t->memory, &flipped, &face),
			      E_NOINTERFACE);
	}
	CHECK_SIZE(t, count_of((IUnknown *)t->memory), before);
}

static const struct hm_case cases[] = {
	{ "every-face-answers", HM_REQUIRED, "COM; CLR accepts a manager by its IID",
	  every_face_answers_to_its_own_name, HM_NO_GROUP },
	{ "one-identity", HM_REQUIRED, "COM: identity", there_is_one_identity,
	  HM_NO_GROUP },
	{ "every-pointer-counts", HM_REQUIRED, "COM: AddRef before a pointer is returned",
	  every_pointer_counts, HM_NO_GROUP },
	{ "unknown-interfaces", HM_REQUIRED, "COM: E_NOINTERFACE and NULL",
	  unknown_interfaces_are_refused, HM_REQUIRED },
};

const struct hm_area hm_area_com = HM_AREA("com", cases);
