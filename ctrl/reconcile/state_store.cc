#include "ctrl/reconcile/state_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "policy/kinds/kinds.h"
#include "policy/resource/parser.h"

namespace sluice::reconcile {
namespace {

namespace fs = std::filesystem;
using policy::ObjectName;
using policy::ResourceId;

constexpr const char* kFile = "state.db";
constexpr const char* kCopy = "state.db.good";
constexpr const char* kDamaged = "state.db.damaged";
constexpr const char* kSuffixes[] = {"", "-wal", "-shm", "-journal"};
constexpr int kFormat = 1;  // PRAGMA user_version
constexpr const char* kSchema =
    "CREATE TABLE resource(api_version TEXT, kind TEXT, namespace TEXT, name TEXT, yaml TEXT NOT NULL,"
    "  PRIMARY KEY(api_version, kind, namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE endpoint(namespace TEXT, name TEXT, number INTEGER NOT NULL UNIQUE,"
    "  PRIMARY KEY(namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE revision(number INTEGER NOT NULL);"
    "INSERT INTO revision VALUES(0);"
    "PRAGMA user_version = 1;";
// Added later. A version that does not know these tables can use the rest, so the format's number stays.
constexpr const char* kLaterSchema =
    "CREATE TABLE IF NOT EXISTS quarantine(namespace TEXT, name TEXT, PRIMARY KEY(namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS refused(namespace TEXT, name TEXT, ifindex INTEGER, problem TEXT,"
    "  PRIMARY KEY(namespace, name, ifindex)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS released(ifindex INTEGER PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS hook_setting(api_version TEXT, kind TEXT, namespace TEXT, name TEXT,"
    "  enabled INTEGER, mode TEXT, PRIMARY KEY(api_version, kind, namespace, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS doubt(text TEXT, unknown INTEGER);";

// hook_setting.mode; empty: the document's own.
constexpr const char* kMonitor = "monitor";
constexpr const char* kEnforce = "enforce";

constexpr const char* kStartAgain = ": fix that, and start the agent again";

Status InUse(const std::string& what) {
  return MakeError(absl::StatusCode::kAlreadyExists,
                   "{}: in use by another agent; stop it, or give this one a --state-dir of its own", what);
}

// SQLite's result codes as ours; `doing` names the file.
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

std::optional<policy::Kind> FindKind(const std::string& api_version, const std::string& kind) {
  for (const policy::Kind one : policy::kAllKinds) {
    if (api_version == policy::KindApiVersion(one) && kind == policy::KindName(one)) return one;
  }
  return std::nullopt;
}

StatusOr<policy::Resource> ParseRow(const std::string& path, const ResourceId& id, const std::string& yaml) {
  SL_ASSIGN_OR_RETURN(auto parsed,
                      policy::ParseResources(path, yaml,
                                             {.more_kinds = policy::MoreKinds(policy::tracing::Reading::kParsed),
                                              .lenient = true}));  // what was accepted so must be read again
  if (parsed.size() != 1 || parsed.front().id != id) return InvalidError("{}: it is not {}", path, id.ToString());
  return std::move(parsed.front());
}

// Also true if that cannot be found out.
bool MayExist(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) || error;
}

// SQLite would create the file readable by all users.
void MakePrivate(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

// Syncs the file, renames it in one step, and syncs the directory.
Status MakeFinal(const std::string& from, const std::string& to, const std::string& directory) {
  for (const std::string& path : {from, directory}) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid() || fsync(fd.get()) != 0) return ErrnoError(errno, "sync {}", path);
    if (path == from && rename(from.c_str(), to.c_str()) != 0) return ErrnoError(errno, "rename {} to {}", from, to);
  }
  return OkStatus();
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

}  // namespace

StateStore::StateStore(const std::string& directory)
    : path_(directory + "/" + kFile), copy_path_(directory + "/" + kCopy) {}

StateStore::~StateStore() { CloseFile(); }

void StateStore::CloseFile() {
  sqlite3_close(db_);
  db_ = nullptr;
}

StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) {
    fs::create_directories(directory, error);
    if (error) return ErrnoError(error.value(), "create the state directory {}", directory);
    // Private: it has the labels and addresses of all workloads.
    if (chmod(directory.c_str(), S_IRWXU) != 0) return ErrnoError(errno, "chmod the state directory {}", directory);
  }
  std::unique_ptr<StateStore> store(new StateStore(directory));
  store->lock_ = Fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!store->lock_.valid()) return ErrnoError(errno, "open the state directory {}", directory);
  if (flock(store->lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? InUse(store->path_) : ErrnoError(errno, "lock the state directory {}", directory);
  }
  SL_RETURN_IF_ERROR(store->OpenFile());
  return store;
}

Status StateStore::OpenFile() {
  std::error_code error;
  const bool is_there = MayExist(path_) && fs::file_size(path_, error) != 0;
  if (!is_there && MayExist(copy_path_)) {
    return GoOnWithCopy(MakeError(absl::StatusCode::kNotFound, "{}: missing or empty", path_));
  }
  Status opened = OpenToWrite();
  if (opened.ok() || absl::IsAlreadyExists(opened)) return opened;
  if (absl::IsDataLoss(opened)) {
    CloseFile();
    const std::string damaged = path_.substr(0, path_.size() - std::string(kFile).size()) + kDamaged;
    for (const char* suffix : kSuffixes) {
      fs::rename(path_ + suffix, damaged + suffix, error);
      if (error && MayExist(path_ + suffix)) return ReadCopy(Annotate(opened, "and cannot be moved away"));
    }
    return GoOnWithCopy(opened);
  }
  if (absl::IsFailedPrecondition(opened)) return ReadCopy(opened);  // a newer version's
  if (!is_there) return opened;
  const Status read = OpenReadOnly(path_);
  if (!read.ok()) return ReadCopy(Annotate(read, Message(opened)));
  read_only_ = opened;
  return OkStatus();
}

Status StateStore::OpenToWrite() {
  MakePrivate(path_);
  const int code = sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  return code == SQLITE_OK ? Prepare() : SqlError(db_, code, path_);
}

// Opens a private copy of the file and its log, in memory if possible: SQLite cannot read a log where it cannot write.
// Empty path: an empty database.
Status StateStore::OpenReadOnly(const std::string& path) {
  CloseFile();
  std::string own = ":memory:";
  std::string directory;
  if (!path.empty()) {
    for (const char* const parent : {"/dev/shm", "/run", "/tmp"}) {
      directory = std::string(parent) + "/sluice-state-XXXXXX";
      if (mkdtemp(directory.data()) != nullptr) break;
      directory.clear();
    }
    if (directory.empty())
      return ErrnoError(errno, "{}: no place to read it from: mkdtemp in /dev/shm, /run, /tmp", path);
    own = directory + "/" + kFile;
  }
  Status prepared;
  std::error_code error;
  for (const char* suffix : {"", "-wal"}) {
    if (path.empty() || !MayExist(path + suffix) || !prepared.ok()) continue;
    fs::copy_file(path + suffix, own + suffix, error);
    if (error) prepared = ErrnoError(error.value(), "copy {} to {}", path + suffix, own + suffix);
  }
  if (prepared.ok()) {
    const int code = sqlite3_open_v2(own.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    prepared = code == SQLITE_OK ? Prepare() : SqlError(db_, code, path);
  }
  if (!directory.empty()) fs::remove_all(directory, error);  // the open file stays readable
  return prepared;
}

// Reads the copy and writes nothing. Without a copy the state is unknown.
Status StateStore::ReadCopy(Status why) {
  doubt_ = Message(why);
  if (!absl::IsFailedPrecondition(why)) doubt_ += kStartAgain;  // that one says what to do
  read_only_ = std::move(why);
  if (MayExist(copy_path_) && OpenReadOnly(copy_path_).ok()) return OkStatus();
  unknown_ = true;
  return OpenReadOnly("");
}

// The new file is completed, with the doubt, before it gets its final name: a full disk or a kill leaves the old files,
// and the next start comes here again.
Status StateStore::GoOnWithCopy(const Status& why) {
  const Status copied =
      MayExist(copy_path_) ? OpenReadOnly(copy_path_) : Status(absl::StatusCode::kNotFound, "there is no copy of it");
  if (!copied.ok() && !absl::IsNotFound(copied) && !absl::IsDataLoss(copied)) {
    return ReadCopy(Annotate(copied, Message(why) + "; its copy"));  // another start may be able to read it
  }
  unknown_ = !copied.ok();
  if (unknown_) SL_RETURN_IF_ERROR(OpenReadOnly(""));
  doubt_ = copied.ok()                ? fmt::format("{}; the last good copy, {}, is used", Message(why), copy_path_)
           : absl::IsNotFound(copied) ? fmt::format("{}; {}", Message(why), Message(copied))
                                      : fmt::format("{}; its copy, {}, is damaged too", Message(why), copy_path_);
  SL_RETURN_IF_ERROR(SaveDoubt());
  std::error_code error;
  for (const char* suffix : {"-wal", "-shm", "-journal"}) fs::remove(path_ + suffix, error);
  Status written = WriteAnew(path_);
  if (written.ok()) {
    CloseFile();
    written = OpenToWrite();
    if (!written.ok()) SL_RETURN_IF_ERROR(OpenReadOnly(path_));
  }
  if (!written.ok()) doubt_ += fmt::format("; nothing can be saved ({}){}", Message(written), kStartAgain);
  read_only_ = written;
  return OkStatus();
}

// Writes the open database to a new file: completely, or not at all.
Status StateStore::WriteAnew(const std::string& to) const {
  const std::string fresh = to + ".new";
  std::error_code error;
  fs::remove(fresh, error);
  MakePrivate(fresh);
  Status written = OkStatus();
  {
    SL_ASSIGN_OR_RETURN(auto copy, Statement::Prepare(db_, path_, "VACUUM INTO ?"));
    written = Annotate(copy.Bind(1, fresh).Run(), "copy");
  }
  if (written.ok()) written = MakeFinal(fresh, to, fs::path(to).parent_path());
  if (!written.ok()) fs::remove(fresh, error);
  return written;
}

// The doubt lasts over restarts, until a change of the resources ends it.
Status StateStore::SaveDoubt() const {
  SL_ASSIGN_OR_RETURN(auto doubt, Statement::Prepare(db_, path_, "INSERT INTO doubt VALUES(?, ?)"));
  return doubt.Bind(1, doubt_).Bind(2, std::uint64_t{unknown_}).Run();
}

Status StateStore::Execute(const char* sql) const {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : SqlError(db_, code, path_);
}

Status StateStore::CheckFormat() const {
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
  return format != 0 ? OkStatus() : Execute((std::string("BEGIN IMMEDIATE;") + kSchema + "COMMIT").c_str());
}

Status StateStore::Prepare() {
  // Exclusive: the lock is taken with the first access and kept.
  SL_RETURN_IF_ERROR(Execute("PRAGMA locking_mode = EXCLUSIVE"));
  // Before anything is written: a newer version's file stays as it is.
  SL_ASSIGN_OR_RETURN(auto version, Statement::Prepare(db_, path_, "PRAGMA user_version"));
  SL_RETURN_IF_ERROR(version.Step().status());
  const bool is_known = version.Number(0) <= kFormat;
  SL_RETURN_IF_ERROR(version.Run());
  // Full: a commit is on disk when it returns.
  if (is_known) SL_RETURN_IF_ERROR(Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  SL_RETURN_IF_ERROR(CheckFormat());
  SL_ASSIGN_OR_RETURN(auto check, Statement::Prepare(db_, path_, "PRAGMA quick_check(1)"));
  SL_RETURN_IF_ERROR(check.Step().status());
  if (check.Text(0) != "ok") return SqlError(nullptr, SQLITE_CORRUPT, path_);
  SL_RETURN_IF_ERROR(check.Run());
  return Execute(kLaterSchema);
}

// An invalid number is dropped, and a new one is assigned later: it is only the index of counters.
Status StateStore::LoadEndpoints(State& state) const {
  SL_ASSIGN_OR_RETURN(auto endpoints, Statement::Prepare(db_, path_, "SELECT namespace, name, number FROM endpoint"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, endpoints.Step());
    if (!more) return OkStatus();
    const Status restored = state.endpoints.Restore({endpoints.Text(0), endpoints.Text(1)},
                                                    static_cast<std::uint32_t>(endpoints.Number(2)));
    if (!restored.ok()) state.problems.push_back(Message(Annotate(restored, path_)));
  }
}

StatusOr<policy::Resource> StateStore::ReadFromCopy(const ResourceId& id) const {
  sqlite3* db = nullptr;
  const std::string uri = "file:" + copy_path_ + "?immutable=1";
  const int code = sqlite3_open_v2(uri.c_str(), &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> owner(db, sqlite3_close);
  if (code != SQLITE_OK) return SqlError(db, code, copy_path_);
  SL_ASSIGN_OR_RETURN(auto row, Statement::Prepare(db, copy_path_,
                                                   "SELECT yaml FROM resource WHERE api_version = ? AND kind = ? "
                                                   "AND namespace = ? AND name = ?"));
  const std::string api_version = policy::KindApiVersion(id.kind), kind = policy::KindName(id.kind);
  row.Bind(1, api_version).Bind(2, kind).Bind(3, id.name.ns).Bind(4, id.name.name);
  SL_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return MakeError(absl::StatusCode::kNotFound, "{} has no such row", copy_path_);
  return ParseRow(copy_path_, id, row.Text(0));
}

Status StateStore::LoadResources(State& state, std::vector<policy::Resource>& recovered) {
  SL_ASSIGN_OR_RETURN(auto rows,
                      Statement::Prepare(db_, path_, "SELECT api_version, kind, namespace, name, yaml FROM resource"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    const auto kind = FindKind(rows.Text(0), rows.Text(1));
    if (!kind) {
      unknown_kinds_.emplace(rows.Text(0), rows.Text(1));
      continue;
    }
    const ResourceId id{*kind, {rows.Text(2), rows.Text(3)}};
    auto resource = ParseRow(path_, id, rows.Text(4));
    if (!resource.ok()) {
      const std::string problem = Message(resource.status());
      bad_rows_.insert(id);
      resource = ReadFromCopy(id);
      if (!resource.ok()) {
        state.unreadable[id] = problem;
        continue;
      }
      state.problems.push_back(
          fmt::format("{} cannot be read ({}); its copy in {} is used", id.ToString(), problem, copy_path_));
      recovered.push_back(*resource);
    }
    state.resources[id] = *std::move(resource);
  }
  if (unknown_kinds_.empty()) return OkStatus();
  // Rows of another version may mean anything.
  const auto& [api_version, name] = *unknown_kinds_.begin();
  state.problems.push_back(fmt::format(
      "{}: it has rows of a kind that this version does not know ({} {}): run the version that saved them; applying "
      "resources with this one removes them",
      path_, api_version, name));
  if (state.doubt.empty()) state.doubt = state.problems.back();
  state.unknown = unknown_ = true;
  return OkStatus();
}

// A copy of an unknown state is unknown too, whatever the doubt now.
Status StateStore::LoadDoubt(State& state) const {
  SL_ASSIGN_OR_RETURN(auto doubt, Statement::Prepare(db_, path_, "SELECT text, unknown FROM doubt"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, doubt.Step());
    if (!more) return OkStatus();
    if (state.doubt.empty()) state.doubt = doubt.Text(0);
    state.unknown |= doubt.Number(1) != 0;
  }
}

StatusOr<StateStore::State> StateStore::Load() {
  State state{.doubt = doubt_, .unknown = unknown_};
  SL_RETURN_IF_ERROR(LoadDoubt(state));
  unknown_ = state.unknown;
  if (!state.doubt.empty()) state.problems.push_back(state.doubt);
  state.can_save = read_only_.ok();
  if (!read_only_.ok()) state.problems.push_back("nothing can be saved: " + Message(read_only_));
  SL_ASSIGN_OR_RETURN(auto revision, Statement::Prepare(db_, path_, "SELECT number FROM revision"));
  SL_ASSIGN_OR_RETURN(const bool has_revision, revision.Step());
  if (has_revision) state.revision = revision.Number(0);
  SL_RETURN_IF_ERROR(LoadEndpoints(state));

  SL_ASSIGN_OR_RETURN(auto quarantined, Statement::Prepare(db_, path_, "SELECT namespace, name FROM quarantine"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, quarantined.Step());
    if (!more) break;
    state.quarantined.insert({quarantined.Text(0), quarantined.Text(1)});
  }
  SL_ASSIGN_OR_RETURN(auto released, Statement::Prepare(db_, path_, "SELECT ifindex FROM released"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, released.Step());
    if (!more) break;
    state.released_interfaces.insert(static_cast<std::uint32_t>(released.Number(0)));
  }
  SL_RETURN_IF_ERROR(LoadRefusals(state));
  SL_RETURN_IF_ERROR(LoadHookSettings(state));
  std::vector<policy::Resource> recovered;
  SL_RETURN_IF_ERROR(LoadResources(state, recovered));
  is_loaded_ = true;
  if (!recovered.empty()) {
    StateChange change{.puts = std::move(recovered), .revision = state.revision};
    change.released_interfaces.assign(state.released_interfaces.begin(), state.released_interfaces.end());
    if (Status saved = Save(change, OkStatus); !saved.ok()) state.problems.push_back(Message(saved));
  }
  return state;
}

// A read-only file may be from an older version, without tables that were added later.
StatusOr<bool> StateStore::HasTable(const std::string& name) const {
  SL_ASSIGN_OR_RETURN(auto table, Statement::Prepare(db_, path_, "SELECT 1 FROM sqlite_master WHERE name = ?"));
  return table.Bind(1, name).Step();
}

// A mode that this version does not know is the document's own: what enforces must not end with a change of versions.
Status StateStore::LoadHookSettings(State& state) const {
  SL_ASSIGN_OR_RETURN(const bool has_table, HasTable("hook_setting"));
  if (!has_table) return OkStatus();
  SL_ASSIGN_OR_RETURN(
      auto rows,
      Statement::Prepare(db_, path_, "SELECT api_version, kind, namespace, name, enabled, mode FROM hook_setting"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return OkStatus();
    const auto kind = FindKind(rows.Text(0), rows.Text(1));
    if (!kind) continue;
    hooks::HookSetting setting{.enabled = rows.Number(4) != 0, .monitor = {}};
    if (const std::string mode = rows.Text(5); mode == kMonitor || mode == kEnforce) setting.monitor = mode == kMonitor;
    if (setting != hooks::HookSetting()) state.hook_settings[{*kind, {rows.Text(2), rows.Text(3)}}] = setting;
  }
}

Status StateStore::LoadRefusals(State& state) const {
  SL_ASSIGN_OR_RETURN(const bool has_table, HasTable("refused"));
  if (!has_table) return OkStatus();
  SL_ASSIGN_OR_RETURN(auto refused,
                      Statement::Prepare(db_, path_, "SELECT namespace, name, ifindex, problem FROM refused"));
  for (;;) {
    SL_ASSIGN_OR_RETURN(const bool more, refused.Step());
    if (!more) return OkStatus();
    Refusal& refusal = state.refusals[{refused.Text(0), refused.Text(1)}];
    refusal.interfaces.insert(static_cast<std::uint32_t>(refused.Number(2)));
    refusal.problem = refused.Text(3);
  }
}

Status StateStore::KeepCopy() {
  if (!copy_is_old_ || !is_loaded_ || unknown_ || !bad_rows_.empty() || !read_only_.ok()) return OkStatus();
  SL_RETURN_IF_ERROR(WriteAnew(copy_path_));
  copy_is_old_ = false;
  return OkStatus();
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
  if (change.refusals) SL_RETURN_IF_ERROR(WriteRefusals(*change.refusals));
  if (change.hook_settings) SL_RETURN_IF_ERROR(WriteHookSettings(*change.hook_settings));
  SL_RETURN_IF_ERROR(Execute("DELETE FROM released; DELETE FROM revision"));
  if (change.ends_doubt) SL_RETURN_IF_ERROR(EndDoubt());
  SL_ASSIGN_OR_RETURN(auto release_interface,
                      Statement::Prepare(db_, path_, "INSERT OR REPLACE INTO released VALUES(?)"));
  for (const std::uint32_t ifindex : change.released_interfaces) {
    SL_RETURN_IF_ERROR(release_interface.Bind(1, std::uint64_t{ifindex}).Run());
  }
  SL_ASSIGN_OR_RETURN(auto revise, Statement::Prepare(db_, path_, "INSERT INTO revision VALUES(?)"));
  return revise.Bind(1, change.revision).Run();
}

Status StateStore::EndDoubt() const {
  SL_ASSIGN_OR_RETURN(auto remove,
                      Statement::Prepare(db_, path_, "DELETE FROM resource WHERE api_version = ? AND kind = ?"));
  for (const auto& [api_version, kind] : unknown_kinds_)
    SL_RETURN_IF_ERROR(remove.Bind(1, api_version).Bind(2, kind).Run());
  return Execute("DELETE FROM doubt");
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

Status StateStore::WriteRefusals(const Refusals& refusals) {
  SL_RETURN_IF_ERROR(Execute("DELETE FROM refused"));
  SL_ASSIGN_OR_RETURN(auto put, Statement::Prepare(db_, path_, "INSERT INTO refused VALUES(?, ?, ?, ?)"));
  for (const auto& [name, refusal] : refusals) {
    for (const std::uint32_t ifindex : refusal.interfaces) {
      put.Bind(1, name.ns).Bind(2, name.name).Bind(3, std::uint64_t{ifindex});
      SL_RETURN_IF_ERROR(put.Bind(4, refusal.problem).Run());
    }
  }
  return OkStatus();
}

Status StateStore::WriteHookSettings(const hooks::HookSettings& settings) {
  SL_RETURN_IF_ERROR(Execute("DELETE FROM hook_setting"));
  SL_ASSIGN_OR_RETURN(auto put, Statement::Prepare(db_, path_, "INSERT INTO hook_setting VALUES(?, ?, ?, ?, ?, ?)"));
  for (const auto& [id, setting] : settings) {
    const std::string api_version = policy::KindApiVersion(id.kind), kind = policy::KindName(id.kind);
    const std::string mode = !setting.monitor ? "" : *setting.monitor ? kMonitor : kEnforce;
    put.Bind(1, api_version).Bind(2, kind).Bind(3, id.name.ns).Bind(4, id.name.name);
    SL_RETURN_IF_ERROR(put.Bind(5, std::uint64_t{setting.enabled}).Bind(6, mode).Run());
  }
  return OkStatus();
}

Status StateStore::Save(const StateChange& change, const std::function<Status()>& enforce) {
  SL_RETURN_IF_ERROR(Annotate(read_only_, "save the change"));
  SL_RETURN_IF_ERROR(Annotate(Execute("BEGIN IMMEDIATE"), "save the change"));
  Status status = Annotate(Write(change), "save the change");
  if (status.ok()) status = enforce();
  if (status.ok()) status = Annotate(Execute("COMMIT"), "save the change");
  // A failed COMMIT may have ended the transaction by itself.
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) status.Update(Execute("ROLLBACK"));
  if (!status.ok()) return status;
  copy_is_old_ = true;
  if (change.ends_doubt) {
    unknown_ = false;
    unknown_kinds_.clear();
  }
  for (const policy::Resource& resource : change.puts) bad_rows_.erase(resource.id);
  for (const ResourceId& id : change.deletes) bad_rows_.erase(id);
  return OkStatus();
}

StatusOr<bool> StateStore::Remove(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) return false;
  const std::string path = directory + "/" + kFile;
  const Fd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.valid() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return InUse(path);
  bool existed = false;
  for (const char* file : {kFile, kCopy, kDamaged}) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal", ".new"}) {
      const std::string one = directory + "/" + file + suffix;
      existed = fs::remove(one, error) || existed;
      if (error) return ErrnoError(error.value(), "remove {}", one);
    }
  }
  if (fs::is_empty(directory, error) && !error) fs::remove(directory, error);
  return existed;
}

}  // namespace sluice::reconcile
