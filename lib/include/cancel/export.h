/* What a public declaration needs around it. The library is built with hidden symbols: only what is
 * marked CANCEL_API leaves it. */
#ifndef CANCEL_EXPORT_H
#define CANCEL_EXPORT_H

#define CANCEL_API __attribute__((visibility("default")))
#define CANCEL_PRINTF(format_index, first_index)                                                   \
	__attribute__((format(printf, format_index, first_index)))

#ifdef __cplusplus
#define CANCEL_BEGIN_DECLS extern "C" {
#define CANCEL_END_DECLS }
#else
#define CANCEL_BEGIN_DECLS
#define CANCEL_END_DECLS
#endif

#endif
