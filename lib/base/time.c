#include <cancel/text.h>

#include "clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DAYS_PER_ERA 146097 /* 400 years of the Gregorian calendar */
#define EPOCH_DAYS 719468   /* from 0000-03-01 to 1970-01-01 */
#define YEAR_0_US (-62167219200LL * US_PER_S)
#define YEAR_10000_US (253402300800LL * US_PER_S)

struct date {
	int64_t year;
	int month, day; /* 1 to 12, 1 to 31 */
};

/* Years begin in March here, so that the leap day is the last of its year and no table is needed. libc's
 * gmtime_r would take locks for the time zone, and a time is written for every request. */
static int64_t days_from_date(const struct date *date)
{
	int64_t year = date->year - (date->month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (date->month + (date->month > 2 ? -3 : 9)) + 2) / 5 + date->day - 1;

	return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
	       EPOCH_DAYS;
}

static struct date date_from_days(int64_t days)
{
	int64_t since = days + EPOCH_DAYS;
	int64_t era = (since >= 0 ? since : since - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t day_of_era = since - era * DAYS_PER_ERA;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct date date = {
		.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
		.month = (int)(month < 10 ? month + 3 : month - 9),
	};

	date.year = year_of_era + era * 400 + (date.month <= 2);
	return date;
}

static char *put_number(char *target, int64_t number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		target[i] = (char)('0' + number % 10);
		number /= 10;
	}
	return target + digits;
}

static char *put_separated(char *target, int64_t number, int digits, char separator)
{
	target = put_number(target, number, digits);
	*target = separator;
	return target + 1;
}

char *cancel_time_format(char target[CANCEL_TIME_SIZE], int64_t time_us)
{
	int64_t in_day_us, seconds;
	struct date date;
	char *end = target;

	if (time_us < YEAR_0_US)
		time_us = YEAR_0_US;
	if (time_us >= YEAR_10000_US)
		time_us = YEAR_10000_US - 1;
	in_day_us = time_us % (86400 * US_PER_S);
	if (in_day_us < 0)
		in_day_us += 86400 * US_PER_S;
	date = date_from_days((time_us - in_day_us) / (86400 * US_PER_S));
	seconds = in_day_us / US_PER_S;
	end = put_separated(end, date.year, 4, '-');
	end = put_separated(end, date.month, 2, '-');
	end = put_separated(end, date.day, 2, 'T');
	end = put_separated(end, seconds / 3600, 2, ':');
	end = put_separated(end, seconds / 60 % 60, 2, ':');
	end = put_separated(end, seconds % 60, 2, '.');
	end = put_separated(end, in_day_us % US_PER_S, 6, 'Z');
	*end = '\0';
	return target;
}

/* Read exactly `digits` digits and the separator after them (0: none); NULL when they are not there. */
static const char *take(const char *text, int digits, char separator, int64_t *number)
{
	if (!text)
		return NULL;
	*number = 0;
	for (int i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return NULL;
		*number = *number * 10 + (text[i] - '0');
	}
	if (!separator)
		return text + digits;
	return text[digits] == separator ? text + digits + 1 : NULL;
}

/* Read ".123456789" if it is there; digits after the sixth are dropped. */
static const char *take_fraction(const char *text, int64_t *us)
{
	int64_t scale = US_PER_S;

	*us = 0;
	if (*text != '.')
		return text;
	if (text[1] < '0' || text[1] > '9')
		return NULL;
	for (text++; *text >= '0' && *text <= '9'; text++) {
		scale /= 10;
		*us += (*text - '0') * scale;
	}
	return text;
}

/* Read "Z", "+01:00" or "-01:00", to the end of the text. */
static bool take_offset(const char *text, int64_t *offset_s)
{
	int64_t hours, minutes;
	int sign = *text == '-' ? -1 : 1;

	*offset_s = 0;
	if ((*text == 'Z' || *text == 'z') && !text[1])
		return true;
	if (*text != '+' && *text != '-')
		return false;
	text = take(take(text + 1, 2, ':', &hours), 2, 0, &minutes);
	if (!text || *text || hours > 23 || minutes > 59)
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static int days_in_month(int64_t year, int64_t month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

int cancel_time_parse(const char *text, int64_t *time_us)
{
	int64_t year, month, day, hour, minute, second, us, offset_s;
	const char *rest = take(take(take(text, 4, '-', &year), 2, '-', &month), 2, 0, &day);
	struct date date;

	if (!rest || !strchr("Tt ", *rest) || !*rest)
		return -EINVAL;
	rest = take(take(take(rest + 1, 2, ':', &hour), 2, ':', &minute), 2, 0, &second);
	rest = rest ? take_fraction(rest, &us) : NULL;
	if (!rest || !take_offset(rest, &offset_s))
		return -EINVAL;
	/* 60 is a leap second: taken as the second after it. */
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
	    minute > 59 || second > 60)
		return -EINVAL;
	date = (struct date){.year = year, .month = (int)month, .day = (int)day};
	*time_us = (days_from_date(&date) * 86400 + hour * 3600 + minute * 60 + second - offset_s) * US_PER_S +
		   us;
	return 0;
}
