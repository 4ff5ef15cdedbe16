// The rows of the state file's tables: what each of them is read as, and how a change is written.
#include "ctrl/reconcile/sqlite_statement.h"
#include "ctrl/reconcile/state_store.h"
#include "policy/kinds/kinds.h"
#include "policy/resource/parser.h"

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceId;

// hook_setting.mode; empty: the document's own.
constexpr const char* kMonitor = "monitor";
constexpr const char* kEnforce = "enforce";

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

}  // namespace

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

}  // namespace sluice::reconcile
