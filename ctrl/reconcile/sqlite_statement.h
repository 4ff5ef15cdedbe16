// A statement of SQLite, and its errors as ours.
//   SL_ASSIGN_OR_RETURN(auto read, Statement::Prepare(db, path, "SELECT name FROM endpoint"));
//   while (true) { SL_ASSIGN_OR_RETURN(const bool row, read.Step()); if (!row) break; use(read.Text(0)); }
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"

namespace sluice::reconcile {

// AlreadyExists: another agent uses it. `what` names it.
Status InUse(const std::string& what);

// SQLite's result codes as ours; `doing` names the file. `db` may be null.
Status SqlError(sqlite3* db, int code, const std::string& doing);

class Statement {
 public:
  static StatusOr<Statement> Prepare(sqlite3* db, const std::string& path, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    if (code != SQLITE_OK) return SqlError(db, code, path);
    return Statement(db, path, statement);
  }

  // The texts must stay until the statement has run.
  Statement& Bind(int index, const std::string& text) {
    sqlite3_bind_text(statement_.get(), index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& Bind(int index, std::uint64_t number) {
    sqlite3_bind_int64(statement_.get(), index, static_cast<sqlite3_int64>(number));
    return *this;
  }

  // False: no (more) row.
  StatusOr<bool> Step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return SqlError(db_, code, path_);
  }

  // Runs to the end, and resets for other values.
  Status Run() {
    const auto row = Step();
    sqlite3_reset(statement_.get());
    return row.status();
  }

  std::string Text(int column) const {
    const unsigned char* text = sqlite3_column_text(statement_.get(), column);
    return text == nullptr ? ""
                           : std::string(reinterpret_cast<const char*>(text),
                                         static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
  }
  std::uint64_t Number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
  }

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(sqlite3* db, std::string path, sqlite3_stmt* statement)
      : db_(db), path_(std::move(path)), statement_(statement) {}

  sqlite3* db_;
  std::string path_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

}  // namespace sluice::reconcile
