#include "ctrl/reconcile/state_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "ctrl/reconcile/sqlite_statement.h"

namespace sluice::reconcile {
namespace {

namespace fs = std::filesystem;
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

constexpr const char* kStartAgain = ": fix that, and start the agent again";

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

Status StateStore::KeepCopy() {
  if (!copy_is_old_ || !is_loaded_ || unknown_ || !bad_rows_.empty() || !read_only_.ok()) return OkStatus();
  SL_RETURN_IF_ERROR(WriteAnew(copy_path_));
  copy_is_old_ = false;
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
