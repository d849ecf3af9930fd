/*
 * The rules that every COM object keeps, asked of any object through the interfaces it
 * says it has.
 */
#ifndef HOSTMEM_CONFORMANCE_COM_RULES_H
#define HOSTMEM_CONFORMANCE_COM_RULES_H

#include "host.h"

/* The count, as AddRef and Release tell it when nobody else has the object. */
static inline ULONG com_count(IUnknown *object)
{
	ULONG with_ours = IUnknown_AddRef(object);
	ULONG count = IUnknown_Release(object);

	CHECK_U32(with_ours, count + 1);
	return count;
}

/* A face of the object, of which the caller holds a reference; NULL was reported. */
static inline IUnknown *com_face(IUnknown *object, const IID *iid)
{
	void *face = POISON;

	CHECK_HR(IUnknown_QueryInterface(object, iid, &face), S_OK);
	CHECK(face != NULL && face != POISON);
	return (IUnknown *)face;
}

static inline bool com_same_identity(IUnknown *a, IUnknown *b)
{
	IUnknown *identity_a = com_face(a, &IID_IUnknown);
	IUnknown *identity_b = com_face(b, &IID_IUnknown);
	bool same = identity_a == identity_b;

	IUnknown_Release(identity_a);
	IUnknown_Release(identity_b);
	return same;
}

/* Reflexive, symmetric and transitive: from any face one reaches every other. */
static inline void com_rules_faces(IUnknown *object, const IID *const *iids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		IUnknown *first = com_face(object, iids[i]);

		tap_row("face %zu", i);
		CHECK(com_same_identity(object, first));
		for (size_t j = 0; j < count; j++) {
			IUnknown *second = com_face(first, iids[j]);
			IUnknown *direct = com_face(object, iids[j]);

			tap_row("from face %zu to %zu", i, j);
			CHECK(com_same_identity(first, second));
			/* The answer never changes, wherever one asks. */
			CHECK_POINTER(second, direct);
			IUnknown_Release(direct);
			IUnknown_Release(second);
		}
		IUnknown_Release(first);
	}
}

static inline void com_rules_refuse(IUnknown *face, const IID *iid)
{
	void *out = POISON;

	CHECK_HR(IUnknown_QueryInterface(face, iid, &out), E_NOINTERFACE);
	CHECK_POINTER(out, NULL);
}

static inline bool com_is_one_of(const IID *iid, const IID *const *iids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (IsEqualIID(iid, iids[i]))
			return true;
	}
	return false;
}

/* The interfaces of a whole host. */
static const IID *const com_host_iids[] = {
	&IID_IUnknown,         &IID_IHostControl,       &IID_IHostMemoryManager,
	&IID_IHostGCManager,   &IID_IHostMemoryControl, &IID_IHostMemorySimulator,
	&IID_IHostMemoryPages, &IID_IHostMemoryMonitor,
};

/* Those of a heap. */
static const IID *const com_heap_iids[] = {
	&IID_IUnknown,
	&IID_IHostMalloc,
	&IID_IHostMalloc2,
};

/* What one kind of object has and another has not. */
static const IID *const com_others_iids[] = {
	&IID_IClassFactory,    &IID_IHostControl,       &IID_IHostMemoryManager,
	&IID_IHostGCManager,   &IID_IHostMemoryControl, &IID_IHostMemorySimulator,
	&IID_IHostMemoryPages, &IID_IHostMemoryMonitor, &IID_IHostMalloc,
	&IID_IHostMalloc2,
};

/* Unknown names, and the known ones with each of their bits the other way round. */
static inline void com_rules_unknown(IUnknown *face, const IID *const *iids, size_t count)
{
	static const IID nobody = { 0, 0, 0, { 0, 0, 0, 0, 0, 0, 0, 0 } };
	/* What a comment in the IDL says of IHostControl, wrongly. */
	static const IID mistaken = { 0x02CA073D,
				      0x7079,
				      0x4860,
				      { 0x88, 0x0A, 0xC2, 0xF7, 0xA4, 0x49, 0xC9,
					0x91 } };

	com_rules_refuse(face, &nobody);
	com_rules_refuse(face, &mistaken);
	com_rules_refuse(face, &IID_ICLRMemoryNotificationCallback);
	for (size_t i = 0; i < ROWS(com_others_iids); i++) {
		if (!com_is_one_of(com_others_iids[i], iids, count))
			com_rules_refuse(face, com_others_iids[i]);
	}
	for (size_t i = 0; i < count * sizeof(IID) * 8; i++) {
		size_t bit = i % (sizeof(IID) * 8);
		unsigned char bytes[sizeof(IID)];
		IID flipped;

		memcpy(bytes, iids[i / (sizeof(IID) * 8)], sizeof(bytes));
		bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
		memcpy(&flipped, bytes, sizeof(flipped));
		tap_row("interface %zu, bit %zu", i / (sizeof(IID) * 8), bit);
		if (!com_is_one_of(&flipped, iids, count))
			com_rules_refuse(face, &flipped);
	}
}

static inline void com_rules_null(IUnknown *face)
{
	void *out = POISON;

	CHECK_HR(IUnknown_QueryInterface(face, &IID_IUnknown, NULL), E_POINTER);
	CHECK_HR(IUnknown_QueryInterface(face, NULL, NULL), E_POINTER);
	CHECK_HR(IUnknown_QueryInterface(face, NULL, &out), E_POINTER);
	CHECK_POINTER(out, NULL);
}

/* AddRef and Release tell the new count; a face given out counts as one. */
static inline void com_rules_count(IUnknown *face)
{
	ULONG before = com_count(face);
	IUnknown *again;

	for (ULONG i = 1; i <= 100; i++)
		CHECK_U32(IUnknown_AddRef(face), before + i);
	for (ULONG i = 100; i-- > 0;)
		CHECK_U32(IUnknown_Release(face), before + i);
	again = com_face(face, &IID_IUnknown);
	CHECK_U32(com_count(face), before + 1);
	CHECK_U32(IUnknown_Release(again), before);
}

/*
 * Asks an object everything above, through each of its `count` interfaces; IUnknown is
 * one of them.  Nobody else may use the object meanwhile.
 */
static inline void com_rules(IUnknown *object, const IID *const *iids, size_t count)
{
	ULONG before = com_count(object);

	com_rules_faces(object, iids, count);
	for (size_t i = 0; i < count; i++) {
		IUnknown *face = com_face(object, iids[i]);

		tap_row("face %zu", i);
		com_rules_null(face);
		com_rules_count(face);
		com_rules_unknown(face, iids, count);
		IUnknown_Release(face);
	}
	tap_row("%s", "");
	CHECK_U32(com_count(object), before);
}

#endif
