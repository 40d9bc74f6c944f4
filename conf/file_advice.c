#include "conf/file_advice.h"

#include <errno.h>

const char *file_read_advice(int r)
{
	switch (r) {
	case -ENOENT:
		return " (correct the path, or make the file)";
	case -EACCES:
	case -EPERM:
		return " (who runs this must be allowed to read it, and to "
		       "enter each folder of its path)";
	case -EISDIR:
		return " (name a file in it)";
	default:
		return "";
	}
}

const char *file_write_advice(int r)
{
	switch (r) {
	case -ENOENT:
		return " (make its folder first)";
	case -EACCES:
	case -EPERM:
		return " (who runs this must be allowed to write it, and to "
		       "enter each folder of its path)";
	case -EROFS:
		return " (under systemd, ReadWritePaths= of the unit must name "
		       "its folder)";
	case -ENOSPC:
	case -EDQUOT:
		return " (make room there)";
	case -ELOOP:
		return " (a link is not followed: name what it leads to)";
	default:
		return "";
	}
}
