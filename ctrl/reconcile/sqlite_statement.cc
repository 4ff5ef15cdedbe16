#include "ctrl/reconcile/sqlite_statement.h"

namespace sluice::reconcile {

Status InUse(const std::string& what) {
  return MakeError(absl::StatusCode::kAlreadyExists,
                   "{}: in use by another agent; stop it, or give this one a --state-dir of its own", what);
}

Status SqlError(sqlite3* db, int code, const std::string& doing) {
  const std::string what = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return InUse(doing);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return MakeError(absl::StatusCode::kDataLoss,
                       "{}: damaged ({}): restore it from a backup, or apply the resources again", doing, what);
    case SQLITE_FULL:
      return MakeError(absl::StatusCode::kResourceExhausted, "{}: the disk is full", doing);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return MakeError(absl::StatusCode::kPermissionDenied, "{}: {}", doing, what);
    default:
      return MakeError(absl::StatusCode::kInternal, "{}: {}", doing, what);
  }
}

}  // namespace sluice::reconcile
