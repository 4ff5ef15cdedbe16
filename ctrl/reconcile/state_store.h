// What must survive a restart, in an SQLite database in the state directory: the resources applied through the API, the
// endpoint numbers, the quarantined and the refused workloads, what was set for hook policies, the revision. The only
// user of SQLite. Not thread-safe: the controller orders its calls.
//
// Open locks the directory (AlreadyExists: another agent has it). What can be read is kept, even if other parts cannot:
// a last good copy is beside state.db (KeepCopy), and State says what was wrong.
//   state.db is damaged        it is renamed to state.db.damaged, and the copy is used
//   missing, or empty          the copy is used, if there is one
//   written by a newer version left alone; the copy is read, and nothing can be saved
//   a row cannot be read       the copy's row is used, else State names the row
//   a row of unknown kind      the state is unknown (below), until a change ends the doubt and removes the row
//   cannot be written          it is read, or else the copy is, and Save fails until a restart
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "ctrl/hooks/hook_setting.h"
#include "ctrl/node/endpoint_ids.h"
#include "policy/resource/resource_map.h"

struct sqlite3;

namespace sluice::reconcile {

// A workload that was requested and could not be enforced on: it is closed.
struct Refusal {
  std::string problem;
  std::set<std::uint32_t> interfaces;
  bool operator==(const Refusal&) const = default;
};
using Refusals = std::map<policy::ObjectName, Refusal>;

// One step from what was saved before.
struct StateChange {
  std::vector<policy::Resource> puts;
  std::vector<policy::ResourceId> deletes;
  std::vector<std::pair<policy::ObjectName, std::uint32_t>> new_endpoints;
  std::vector<policy::ObjectName> gone_endpoints;
  std::vector<policy::ObjectName> quarantines;
  std::vector<policy::ObjectName> releases;
  std::vector<std::uint32_t> released_interfaces;    // released once this is saved; earlier ones already are
  std::optional<Refusals> refusals;                  // all of them; absent: unchanged
  std::optional<hooks::HookSettings> hook_settings;  // likewise
  std::uint64_t revision = 0;
  bool ends_doubt = false;  // State::doubt is over
};

// As StateStore::Save.
using SaveChange = std::function<Status(const StateChange& change, const std::function<Status()>& enforce)>;

class StateStore {
 public:
  static constexpr const char* kDefaultDirectory = "/var/lib/sluice";

  struct State {
    policy::ResourceMap resources;
    node::EndpointIds endpoints;
    std::set<policy::ObjectName> quarantined;  // also workloads that do not exist now
    std::set<std::uint32_t> released_interfaces;
    Refusals refusals;  // their interfaces are as of the time of saving
    hooks::HookSettings hook_settings;
    std::uint64_t revision = 0;

    std::vector<std::string> problems;  // what was wrong, for people; not fatal
    // Not empty: why this may not be what was saved last. It is the last good copy or, if `unknown`, nothing.
    std::string doubt;
    bool unknown = false;
    bool can_save = true;
    bool pinned = false;  // set by the caller: an older version's pins enforce until the first generation
    // Rows that can be read neither here nor in the copy, and why.
    std::map<policy::ResourceId, std::string> unreadable;

    // As at a first start.
    bool empty() const {
      return resources.empty() && endpoints.all().empty() && quarantined.empty() && revision == 0 && doubt.empty() &&
             unreadable.empty();
    }
  };

  // Errors name the file and what to do: AlreadyExists as above; others if the directory itself cannot be used.
  static StatusOr<std::unique_ptr<StateStore>> Open(const std::string& directory);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  StatusOr<State> Load();

  // OK: the change is on disk for good; an error: nothing of it is. `enforce` runs after the writes and before the
  // commit; its error undoes the writes and is returned.
  Status Save(const StateChange& change, const std::function<Status()>& enforce);

  // Replaces the copy with the saved state, if that changed and could be read completely. Never while the state is
  // `unknown`: the copy may be all that is left.
  Status KeepCopy();

  // Deletes the files of Open and Save in `directory`, and the directory if nothing else is in it. False: there was
  // nothing to delete. AlreadyExists: an agent uses it.
  static StatusOr<bool> Remove(const std::string& directory);

 private:
  explicit StateStore(const std::string& directory);
  Status OpenFile();
  Status OpenToWrite();
  Status OpenReadOnly(const std::string& path);
  Status ReadCopy(Status why);
  Status GoOnWithCopy(const Status& why);
  Status WriteAnew(const std::string& to) const;
  Status SaveDoubt() const;
  void CloseFile();
  Status Prepare();
  Status CheckFormat() const;
  Status LoadEndpoints(State& state) const;
  Status LoadDoubt(State& state) const;
  Status LoadRefusals(State& state) const;
  Status LoadHookSettings(State& state) const;
  Status LoadResources(State& state, std::vector<policy::Resource>& recovered);
  StatusOr<policy::Resource> ReadFromCopy(const policy::ResourceId& id) const;
  Status Write(const StateChange& change);
  Status EndDoubt() const;
  Status WriteQuarantine(const StateChange& change);
  Status WriteRefusals(const Refusals& refusals);
  Status WriteHookSettings(const hooks::HookSettings& settings);
  StatusOr<bool> HasTable(const std::string& name) const;
  Status Execute(const char* sql) const;

  const std::string path_;
  const std::string copy_path_;
  Fd lock_;  // of the directory
  sqlite3* db_ = nullptr;
  Status read_only_;  // why nothing can be saved
  std::string doubt_;
  bool unknown_ = false;
  bool copy_is_old_ = true;
  bool is_loaded_ = false;
  std::set<std::pair<std::string, std::string>> unknown_kinds_;  // apiVersion and kind of rows, until the doubt ends
  std::set<policy::ResourceId> bad_rows_;                        // unreadable and not replaced yet
};

}  // namespace sluice::reconcile
