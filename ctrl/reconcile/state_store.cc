#include "ctrl/reconcile/state_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "policy/parser.h"

namespace sluice::reconcile {
namespace {

namespace fs = std::filesystem;
using policy::ObjectName;
using policy::ResourceId;

constexpr const char* kFile = "state.db";
constexpr int kFormat = 1;  // PRAGMA user_version
constexpr const char* kSchema =
    "CREATE TABLE resource(api_version TEXT, kind TEXT, namespace TEXT, name TEXT, yaml TEXT NOT NULL,"
    "  PRIMARY KEY(api_version, kind, namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE endpoint(namespace TEXT, name TEXT, number INTEGER NOT NULL UNIQUE,"
    "  PRIMARY KEY(namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE revision(number INTEGER NOT NULL);"
    "INSERT INTO revision VALUES(0);"
    "PRAGMA user_version = 1;";
// Came later. A version that does not know it may go on with the rest, so the format's number stays.
constexpr const char* kLaterSchema =
    "CREATE TABLE IF NOT EXISTS quarantine(namespace TEXT, name TEXT, PRIMARY KEY(namespace, name)) WITHOUT ROWID;";

// SQLite's result codes as ours; `doing` names the file.
Status SqlError(sqlite3* db, int code, const std::string& doing) {
  const std::string what = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeError(absl::StatusCode::kAlreadyExists,
                       "{}: in use by another agent; stop it, or give this one a --state-dir of its own", doing);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return MakeError(absl::StatusCode::kDataLoss,
                       "{}: damaged ({}): restore it from a backup, or move it away and apply the resources again",
                       doing, what);
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

  // To its end, and ready for other values.
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

}  // namespace

StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return ErrnoError(error.value(), "create the state directory {}", directory);
  // Labels and addresses of everybody's workloads are nobody else's business.
  if (chmod(directory.c_str(), S_IRWXU) != 0) return ErrnoError(errno, "chmod the state directory {}", directory);
  const std::string path = directory + "/" + kFile;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<StateStore> store(new StateStore(path, db));
  if (code != SQLITE_OK) return SqlError(db, code, path);
  SL_RETURN_IF_ERROR(store->Prepare());
  return store;
}

StateStore::~StateStore() { sqlite3_close(db_); }

Status StateStore::Execute(const char* sql) const {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : SqlError(db_, code, path_);
}

Status StateStore::Prepare() {
  // Exclusive: the lock is taken with the first access and kept. Full: a commit is on disk when it returns.
  SL_RETURN_IF_ERROR(Execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  SL_ASSIGN_OR_RETURN(auto version, Statement::Prepare(db_, path_, "PRAGMA user_version"));
  SL_RETURN_IF_ERROR(version.Step().status());
  const std::uint64_t format = version.Number(0);
  SL_RETURN_IF_ERROR(version.Run());
  if (format > kFormat) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        "{}: written by a newer version (format {}, this one knows {}): run that version, or give this one "
        "another --state-dir",
        path_, format, kFormat);
  }
  if (format == 0) SL_RETURN_IF_ERROR(Execute((std::string("BEGIN IMMEDIATE;") + kSchema + "COMMIT").c_str()));
  SL_ASSIGN_OR_RETURN(auto check, Statement::Prepare(db_, path_, "PRAGMA quick_check(1)"));
  SL_RETURN_IF_ERROR(check.Step().status());
  if (check.Text(0) != "ok") return SqlError(nullptr, SQLITE_CORRUPT, path_);
  SL_RETURN_IF_ERROR(check.Run());
  return Execute(kLaterSchema);
}

StatusOr<StateStore::State> StateStore::Load() const {
  State state;
  SL_ASSIGN_OR_RETURN(auto revision, Statement::Prepare(db_, path_, "SELECT number FROM revision"));
  SL_RETURN_IF_ERROR(revision.Step().status());
  state.revision = revision.Number(0);

  SL_ASSIGN_OR_RETURN(auto endpoints, Statement::Prepare(db_, path_, "SELECT namespace, name, number FROM endpoint"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, endpoints.Step());
    if (!more) break;
    const Status restored = state.endpoints.Restore({endpoints.Text(0), endpoints.Text(1)},
                                                    static_cast<std::uint32_t>(endpoints.Number(2)));
    SL_RETURN_IF_ERROR(Annotate(restored, path_));
  }

  SL_ASSIGN_OR_RETURN(auto quarantined, Statement::Prepare(db_, path_, "SELECT namespace, name FROM quarantine"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, quarantined.Step());
    if (!more) break;
    state.quarantined.insert({quarantined.Text(0), quarantined.Text(1)});
  }

  SL_ASSIGN_OR_RETURN(auto resources, Statement::Prepare(db_, path_, "SELECT yaml FROM resource"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, resources.Step());
    if (!more) break;
    SL_ASSIGN_OR_RETURN(auto parsed, policy::ParseResources(path_, resources.Text(0)));
    for (policy::Resource& resource : parsed) state.resources[resource.id] = std::move(resource);
  }
  return state;
}

Status StateStore::Write(const StateChange& change) {
  SL_ASSIGN_OR_RETURN(auto put,
                      Statement::Prepare(db_, path_, "INSERT OR REPLACE INTO resource VALUES(?, ?, ?, ?, ?)"));
  for (const policy::Resource& resource : change.puts) {
    const std::string api_version = policy::KindApiVersion(resource.id.kind), kind = policy::KindName(resource.id.kind);
    put.Bind(1, api_version).Bind(2, kind).Bind(3, resource.id.name.ns).Bind(4, resource.id.name.name);
    SL_RETURN_IF_ERROR(put.Bind(5, resource.yaml).Run());
  }
  SL_ASSIGN_OR_RETURN(
      auto remove,
      Statement::Prepare(db_, path_,
                         "DELETE FROM resource WHERE api_version = ? AND kind = ? AND namespace = ? AND name = ?"));
  for (const ResourceId& id : change.deletes) {
    const std::string api_version = policy::KindApiVersion(id.kind), kind = policy::KindName(id.kind);
    SL_RETURN_IF_ERROR(remove.Bind(1, api_version).Bind(2, kind).Bind(3, id.name.ns).Bind(4, id.name.name).Run());
  }
  SL_ASSIGN_OR_RETURN(auto release,
                      Statement::Prepare(db_, path_, "DELETE FROM endpoint WHERE namespace = ? AND name = ?"));
  for (const ObjectName& name : change.gone_endpoints) {
    SL_RETURN_IF_ERROR(release.Bind(1, name.ns).Bind(2, name.name).Run());
  }
  SL_ASSIGN_OR_RETURN(auto assign, Statement::Prepare(db_, path_, "INSERT OR REPLACE INTO endpoint VALUES(?, ?, ?)"));
  for (const auto& [name, number] : change.new_endpoints) {
    SL_RETURN_IF_ERROR(assign.Bind(1, name.ns).Bind(2, name.name).Bind(3, std::uint64_t{number}).Run());
  }
  SL_RETURN_IF_ERROR(WriteQuarantine(change));
  SL_ASSIGN_OR_RETURN(auto revise, Statement::Prepare(db_, path_, "UPDATE revision SET number = ?"));
  return revise.Bind(1, change.revision).Run();
}

Status StateStore::WriteQuarantine(const StateChange& change) {
  SL_ASSIGN_OR_RETURN(auto put, Statement::Prepare(db_, path_, "INSERT OR REPLACE INTO quarantine VALUES(?, ?)"));
  for (const ObjectName& name : change.quarantines) {
    SL_RETURN_IF_ERROR(put.Bind(1, name.ns).Bind(2, name.name).Run());
  }
  SL_ASSIGN_OR_RETURN(auto remove,
                      Statement::Prepare(db_, path_, "DELETE FROM quarantine WHERE namespace = ? AND name = ?"));
  for (const ObjectName& name : change.releases) {
    SL_RETURN_IF_ERROR(remove.Bind(1, name.ns).Bind(2, name.name).Run());
  }
  return OkStatus();
}

Status StateStore::Save(const StateChange& change, const std::function<Status()>& enforce) {
  SL_RETURN_IF_ERROR(Annotate(Execute("BEGIN IMMEDIATE"), "save the change"));
  Status status = Annotate(Write(change), "save the change");
  if (status.ok()) status = enforce();
  if (status.ok()) status = Annotate(Execute("COMMIT"), "save the change");
  // A failed COMMIT may have ended the transaction by itself.
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) status.Update(Execute("ROLLBACK"));
  return status;
}

Status StateStore::Remove(const std::string& directory) {
  std::error_code error;
  if (fs::exists(directory + "/" + kFile, error)) {
    // Whatever else is wrong with it is no reason to keep it.
    if (const auto open = Open(directory); absl::IsAlreadyExists(open.status())) return open.status();
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string path = directory + "/" + kFile + suffix;
    fs::remove(path, error);
    if (error) return ErrnoError(error.value(), "remove {}", path);
  }
  if (fs::is_empty(directory, error) && !error) fs::remove(directory, error);
  return OkStatus();
}

}  // namespace sluice::reconcile
