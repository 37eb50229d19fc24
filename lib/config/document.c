#include "document.h"

#include "error.h"
#include "utf8.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

static const char byte_order_mark[] = "\xEF\xBB\xBF";

/* A map or list that is open. The key's memory is the event's, and lives until its value is read. */
struct frame {
	struct document_node node;
	yaml_event_t key;
	bool has_key;
	size_t count; /* values so far, in a list */
};

struct reader {
	yaml_parser_t parser;
	const char *file;
	const char *text;
	size_t size;
	document_visit *visit;
	void *arg;
	bool has_document;
	struct frame frames[DOCUMENT_DEPTH_MAX];
	size_t depth; /* open frames */
	struct cancel_error *error;
};

static struct document_place place_of(const yaml_mark_t *mark)
{
	return (struct document_place){.line = mark->line + 1, .column = mark->column + 1};
}

/* What was found, for a sentence. Shorter than a struct quote, because the list of what was expected can be
 * long and all of it must fit into one error. */
struct found {
	char text[160];
};

static const char *found_value(struct found *found, const struct document_node *node)
{
	char escaped[sizeof found->text - 2];

	if (node->kind == DOCUMENT_MAP)
		return "keys";
	if (node->kind == DOCUMENT_LIST)
		return "a list";
	if (document_is_nothing(node))
		return "nothing";
	(void)snprintf(found->text, sizeof found->text, "'%s'",
		       cancel_text_escape(escaped, sizeof escaped, node->text, node->length));
	return found->text;
}

static size_t path_append(char *path, size_t used, const struct document_node *node)
{
	char key[64];

	if (node->parent)
		used = path_append(path, used, node->parent);
	if (node->key)
		used += (size_t)snprintf(path + used, DOCUMENT_PATH_SIZE - used, "%s%s", used ? "." : "",
					 cancel_text_escape(key, sizeof key, node->key, node->key_length));
	else if (node->parent)
		used += (size_t)snprintf(path + used, DOCUMENT_PATH_SIZE - used, "[%zu]", node->index);
	return used < DOCUMENT_PATH_SIZE ? used : DOCUMENT_PATH_SIZE - 1;
}

const char *document_path(char path[DOCUMENT_PATH_SIZE], const struct document_node *node)
{
	path[0] = '\0';
	(void)path_append(path, 0, node);
	return path;
}

bool document_is_nothing(const struct document_node *node)
{
	return node->kind == DOCUMENT_TEXT && node->plain &&
	       (!node->length || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

int document_expected(const struct document_node *node, const char *expected, struct cancel_error *error)
{
	char path[DOCUMENT_PATH_SIZE];
	struct found found;

	(void)document_path(path, node);
	return error_set(error, -EINVAL, "%s:%zu:%zu: %s%sexpected %s, found %s", QUOTE(node->file),
			 node->place.line, node->place.column, path, *path ? ": " : "", expected,
			 found_value(&found, node));
}

/* The same for what is no value of ours. `found` must have been escaped. */
static int refuse(const struct reader *reader, struct document_place place, const char *expected,
		  const char *found)
{
	return error_set(reader->error, -EINVAL, "%s:%zu:%zu: expected %s, found %s", QUOTE(reader->file),
			 place.line, place.column, expected, found);
}

static struct frame *top(struct reader *reader)
{
	return reader->depth ? &reader->frames[reader->depth - 1] : NULL;
}

static void key_drop(struct frame *frame)
{
	if (frame && frame->has_key)
		yaml_event_delete(&frame->key);
	if (frame)
		frame->has_key = false;
}

/* Take the event over: the caller's becomes empty. */
static int key_take(struct reader *reader, struct frame *frame, yaml_event_t *event)
{
	if (event->type != YAML_SCALAR_EVENT)
		return refuse(reader, place_of(&event->start_mark), "a key",
			      event->type == YAML_MAPPING_START_EVENT ? "keys" : "a list");
	frame->key = *event;
	frame->has_key = true;
	memset(event, 0, sizeof *event);
	return 0;
}

static struct document_node node_of(struct reader *reader, const yaml_event_t *event, enum document_kind kind)
{
	struct frame *frame = top(reader);
	struct document_node node = {
		.file = reader->file,
		.depth = reader->depth,
		.kind = kind,
		.place = place_of(&event->start_mark),
	};

	if (kind == DOCUMENT_TEXT) {
		node.text = (const char *)event->data.scalar.value;
		node.length = event->data.scalar.length;
		node.plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	}
	if (!frame)
		return node;
	node.parent = &frame->node;
	if (frame->has_key) {
		node.key = (const char *)frame->key.data.scalar.value;
		node.key_length = frame->key.data.scalar.length;
		node.key_place = place_of(&frame->key.start_mark);
	} else {
		node.index = frame->count++;
	}
	return node;
}

static int frame_push(struct reader *reader, const struct document_node *node)
{
	if (reader->depth == DOCUMENT_DEPTH_MAX)
		return document_expected(node, "fewer levels", reader->error);
	reader->frames[reader->depth++] = (struct frame){.node = *node};
	return 0;
}

static int on_value(struct reader *reader, yaml_event_t *event, enum document_kind kind)
{
	struct frame *frame = top(reader);
	struct document_node node;
	int result;

	if (frame && frame->node.kind == DOCUMENT_MAP && !frame->has_key)
		return key_take(reader, frame, event);
	node = node_of(reader, event, kind);
	result = reader->visit(reader->arg, &node, reader->error);
	if (result < 0)
		return result;
	if (kind != DOCUMENT_TEXT)
		return frame_push(reader, &node);
	key_drop(frame);
	return 0;
}

static int refuse_decoration(const struct reader *reader, const yaml_event_t *event,
			     const yaml_char_t *anchor, const yaml_char_t *tag)
{
	char escaped[100];
	struct found found;
	const char *text = (const char *)(anchor ? anchor : tag);

	if (!text)
		return 0;
	(void)snprintf(found.text, sizeof found.text, "the %s '%s'", anchor ? "anchor" : "tag",
		       cancel_text_escape(escaped, sizeof escaped, text, strlen(text)));
	return refuse(reader, place_of(&event->start_mark), "a value without anchor and tag", found.text);
}

static int on_nothing(struct reader *reader, yaml_event_t *event)
{
	(void)reader;
	(void)event;
	return 0;
}

static int on_document(struct reader *reader, yaml_event_t *event)
{
	if (reader->has_document)
		return refuse(reader, place_of(&event->start_mark), "one document", "another");
	reader->has_document = true;
	return 0;
}

static int on_alias(struct reader *reader, yaml_event_t *event)
{
	char escaped[100];
	struct found found;
	const char *anchor = (const char *)event->data.alias.anchor;

	(void)snprintf(found.text, sizeof found.text, "the alias '%s'",
		       cancel_text_escape(escaped, sizeof escaped, anchor, strlen(anchor)));
	return refuse(reader, place_of(&event->start_mark), "a value", found.text);
}

static int on_scalar(struct reader *reader, yaml_event_t *event)
{
	int result = refuse_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag);

	return result < 0 ? result : on_value(reader, event, DOCUMENT_TEXT);
}

static int on_list(struct reader *reader, yaml_event_t *event)
{
	int result = refuse_decoration(reader, event, event->data.sequence_start.anchor,
				       event->data.sequence_start.tag);

	return result < 0 ? result : on_value(reader, event, DOCUMENT_LIST);
}

static int on_map(struct reader *reader, yaml_event_t *event)
{
	int result = refuse_decoration(reader, event, event->data.mapping_start.anchor,
				       event->data.mapping_start.tag);

	return result < 0 ? result : on_value(reader, event, DOCUMENT_MAP);
}

static int on_end(struct reader *reader, yaml_event_t *event)
{
	(void)event;
	reader->depth--;
	key_drop(top(reader));
	return 0;
}

static int (*const on_event[])(struct reader *reader, yaml_event_t *event) = {
	[YAML_NO_EVENT] = on_nothing,           [YAML_STREAM_START_EVENT] = on_nothing,
	[YAML_STREAM_END_EVENT] = on_nothing,   [YAML_DOCUMENT_START_EVENT] = on_document,
	[YAML_DOCUMENT_END_EVENT] = on_nothing, [YAML_ALIAS_EVENT] = on_alias,
	[YAML_SCALAR_EVENT] = on_scalar,        [YAML_SEQUENCE_START_EVENT] = on_list,
	[YAML_SEQUENCE_END_EVENT] = on_end,     [YAML_MAPPING_START_EVENT] = on_map,
	[YAML_MAPPING_END_EVENT] = on_end,
};

/* libyaml gives no line for a byte that it cannot decode. */
static struct document_place place_of_byte(const struct reader *reader, size_t offset)
{
	struct document_place place = {.line = 1, .column = 1};

	for (size_t i = 0; i < offset; i++) {
		if (reader->text[i] == '\n')
			place = (struct document_place){.line = place.line + 1, .column = 1};
		else if (((unsigned char)reader->text[i] & 0xC0) != 0x80)
			place.column++;
	}
	return place;
}

/* libyaml blames the byte after a sequence that breaks off, which may be a perfectly good letter. */
static size_t offset_of_bad_byte(const struct reader *reader)
{
	size_t offset = 0;

	while (offset < reader->parser.problem_offset) {
		uint32_t character;
		size_t bytes = utf8_next(reader->text + offset, reader->size - offset, &character);

		if (!bytes)
			break;
		offset += bytes;
	}
	return offset;
}

static int fail_encoding(const struct reader *reader)
{
	char escaped[CANCEL_ESCAPED_SIZE(1)];
	struct found found;
	size_t offset = offset_of_bad_byte(reader);

	(void)snprintf(found.text, sizeof found.text, "'%s'",
		       cancel_text_escape(escaped, sizeof escaped, reader->text + offset, 1));
	return refuse(reader, place_of_byte(reader, offset), "UTF-8 text without control characters",
		      found.text);
}

/* Is the first thing in this line that is not a space a tab? libyaml then complains of whatever it was
 * looking for, which helps nobody who cannot see the tab. */
static bool indented_by_tab(const struct reader *reader, size_t line)
{
	const char *end = reader->text + reader->size;
	const char *at = reader->text;

	for (; at && line > 1; line--) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	while (at && at < end && *at == ' ')
		at++;
	return at && at < end && *at == '\t';
}

static int fail_syntax(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct document_place place = place_of(&parser->problem_mark);

	if (parser->error == YAML_MEMORY_ERROR)
		return error_system(reader->error, -ENOMEM, "cannot read configuration '%s'",
				    QUOTE(reader->file));
	if (parser->error == YAML_READER_ERROR)
		return fail_encoding(reader);
	if (indented_by_tab(reader, place.line))
		return refuse(reader, place, "spaces as indentation", "a tab");
	return error_set(reader->error, -EINVAL, "%s:%zu:%zu: not valid YAML: %s%s%s", QUOTE(reader->file),
			 place.line, place.column, parser->problem, parser->context ? " " : "",
			 parser->context ? parser->context : "");
}

static int walk(struct reader *reader)
{
	yaml_event_type_t type;

	do {
		yaml_event_t event;
		int result;

		if (!yaml_parser_parse(&reader->parser, &event))
			return fail_syntax(reader);
		type = event.type;
		result = on_event[type](reader, &event);
		yaml_event_delete(&event);
		if (result < 0)
			return result;
	} while (type != YAML_STREAM_END_EVENT);
	return 0;
}

int document_read(const char *file, const char *text, size_t size, document_visit *visit, void *arg,
		  struct cancel_error *error)
{
	size_t mark = sizeof byte_order_mark - 1;
	struct reader reader = {.file = file, .visit = visit, .arg = arg, .error = error};
	int result;

	/* Skipped here, and UTF-8 insisted on: libyaml would guess UTF-16 from another mark, and the places
	 * in the sentences would be wrong. */
	if (size < mark || memcmp(text, byte_order_mark, mark) != 0)
		mark = 0;
	reader.text = text + mark;
	reader.size = size - mark;
	if (!yaml_parser_initialize(&reader.parser))
		return error_system(error, -ENOMEM, "cannot read configuration '%s'", QUOTE(file));
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)reader.text, reader.size);
	result = walk(&reader);
	while (reader.depth)
		key_drop(&reader.frames[--reader.depth]);
	yaml_parser_delete(&reader.parser);
	return result;
}
