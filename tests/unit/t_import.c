/* t_import.c - the text of a swanctl.conf is read as strongSwan reads it. SPDX-License-Identifier:
 * ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import_text.h"
#include "xalloc.h"

#include <stdio.h>

/* "x" names this text as an included file, "self" one that includes itself; nothing else is there.
 */
static bool on_include(void *ctx, struct import_tree *t, struct import_node *section,
		       const char *file, const char *pattern, char *err)
{
	static const char x[] = "from = x\nmore { b = 2\n }\n", self[] = "include self\n";

	(void)ctx, (void)file;
	if (strcmp(pattern, "x") == 0)
		return import_add(t, section, "x", x, strlen(x), err);
	if (strcmp(pattern, "self") == 0)
		return import_add(t, section, "self", self, strlen(self), err);
	return true;
}

static bool read_text(struct import_tree *t, const char *text, char *err)
{
	*t = (struct import_tree){.include = on_include};
	*err = '\0';
	return import_add(t, &t->root, "f", text, strlen(text), err) && import_resolve(t, err);
}

/* The section as "name=value;name{...}", with its members in their order. */
static void print(FILE *f, const struct import_node *section)
{
	for (const struct import_node *n = section->first; n; n = n->next) {
		if (n->value) {
			fprintf(f, "%s=%s;", n->name, n->value);
			continue;
		}
		fprintf(f, "%s{", n->name);
		print(f, n);
		fputc('}', f);
	}
}

static const struct {
	const char *text, *tree; /* NULL: it is refused */
	const char *error;
} texts[] = {
	{"", "", NULL},
	{"# only\n  # comments", "", NULL},
	{"a = 1", "a=1;", NULL},
	{"a=1 b = 2\nc=\n", "a=1 b = 2;c=;", NULL},
	{"a = one   two # three", "a=one two;", NULL},
	{"s { a = 1 }\nb = 2", "s{a=1;}b=2;", NULL},
	{"s\n{\na = 1\n}", "s{a=1;}", NULL},
	{"s{a=1}b=2#3", "s{a=1;}b=2;", NULL},
	{"s { a = 1\nt { b = 2 } }", "s{a=1;t{b=2;}}", NULL},
	{"a = \"x # } \\\" \\\\ \\n\"", "a=x # } \" \\ \n;", NULL},
	{"a = \"over\\\nlines\" and more", "a=overlines and more;", NULL},
	{"a = {1=2:3,4", "a={1=2:3,4;", NULL},
	{"s { a = 1\nb = 2 }\ns { a = 3 }", "s{a=3;b=2;}", NULL},
	{"p { a = 1\nq { b = 1\nc = 1 } }\ns : p { q { c = 2 } }",
	 "p{a=1;q{b=1;c=1;}}s{q{c=2;b=1;}a=1;}", NULL},
	{"s : p.q { }\np { q { b = 1 } }", "s{b=1;}p{q{b=1;}}", NULL},
	{"p { a = 1 }\nr { a = 2\nb = 2 }\ns : p, r { }", "p{a=1;}r{a=2;b=2;}s{a=1;b=2;}", NULL},
	{"p { a = 1 }\nr : p { }\ns : r { }", "p{a=1;}r{a=1;}s{a=1;}", NULL},
	{"include x\ns { include x }", "from=x;more{b=2;}s{from=x;more{b=2;}}", NULL},
	{"include none\na = 1", "a=1;", NULL},
	{"include = 1", "include=1;", NULL},
	{"s {", NULL, "f:1: } is missing at the end"},
	{"a = 1\n}", NULL, "f:2: } closes nothing"},
	{"a", NULL, "f:1: behind a name"},
	{"a 1", NULL, "f:1: behind a name"},
	{"= 1", NULL, "f:1: a name is missing"},
	{"\n\na = \"x", NULL, "f:3: the closing quote is missing"},
	{"a = \"x\\", NULL, "f:1: the closing quote is missing"},
	{"a = 1\na { }", NULL, "f:2: the name is that of an option and of a section"},
	{"s : p { }", NULL, "f:1: there is no section"},
	{"s : s", NULL, "f:1: { is missing"},
	{"s { t : s { } }", NULL, "f:1: references lead in a circle"},
	{"include self", NULL, "self:1: files include each other more than 12 deep"},
	{"a{b{c{d{e{f{g{h{i{j{k{l{m{}}}}}}}}}}}}}", NULL,
	 "f:1: sections are nested more than 12 deep"},
};

static void what_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct import_tree t;
		char err[IMPORT_ERR], *tree = NULL;
		size_t size = 0;
		bool ok = read_text(&t, texts[i].text, err);
		FILE *f = open_memstream(&tree, &size);

		print(f, &t.root);
		fclose(f);
		if (texts[i].tree ? !ok || strcmp(tree, texts[i].tree) != 0
				  : ok || !strstr(err, texts[i].error))
			fail_msg("%s: %s %s", texts[i].text, tree, err);
		free(tree);
		import_free(&t);
	}
}

/* Each option has the file and line where it stands, also one that comes from another section. */
static void places_are_kept(void **state)
{
	struct import_tree t;
	char err[IMPORT_ERR];
	const struct import_node *n;

	(void)state;
	assert_true(read_text(&t, "p {\n a = 1\n}\ns : p {\n b = 2\n include x\n}", err));
	n = import_find(import_find(&t.root, "s"), "a");
	assert_int_equal(n->line, 2);
	n = import_find(import_find(&t.root, "s"), "from");
	assert_string_equal(n->file, "x");
	assert_int_equal(n->line, 1);
	assert_true(import_find(&t.root, "p")->seen); /* it is of use for another one */
	assert_null(import_find(&t.root, "none"));
	import_free(&t);
}

/* References to sections with references would else make any number of copies. */
static void copies_are_limited(void **state)
{
	struct import_tree t;
	char err[IMPORT_ERR], *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs("s0 { a0 { x = 1 } }\n", f);
	for (unsigned i = 1; i < 10; i++) {
		fprintf(f, "s%u {", i);
		for (unsigned k = 0; k < 8; k++)
			fprintf(f, " b%u : s%u { }", k, i - 1);
		fputs(" }\n", f);
	}
	fclose(f);
	assert_false(read_text(&t, text, err));
	assert_non_null(strstr(err, "too many options"));
	assert_true(t.nodes <= IMPORT_NODES_MAX + 1);
	import_free(&t);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read),
		cmocka_unit_test(places_are_kept),
		cmocka_unit_test(copies_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
