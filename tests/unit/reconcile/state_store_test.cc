#include "ctrl/reconcile/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "policy/resource/parser.h"
#include "tests/support/environment.h"

namespace sluice::reconcile {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

policy::Resource Namespace(const std::string& name, const std::string& team) {
  const auto parsed = policy::ParseResources(
      "test",
      fmt::format("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}, labels: {{team: {}}}}}}}", name, team));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed->front();
}

class StateStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = "/tmp/sluice-state-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::unique_ptr<StateStore> Open() const {
    auto store = StateStore::Open(directory_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  StateStore::State LoadAnew() const {
    const auto state = Open()->Load();
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? *state : StateStore::State{};
  }
  // Direct SQL, as if another program changed the file.
  void Execute(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ + "/state.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static Status Enforced() { return OkStatus(); }
  void SaveShopAndCopy() const {
    const auto store = Open();
    ASSERT_TRUE(store->Load().ok());
    ASSERT_TRUE(
        store
            ->Save({.puts = {Namespace("shop", "blue")}, .new_endpoints = {{{"shop", "web"}, 7}}, .revision = 41},
                   Enforced)
            .ok());
    ASSERT_TRUE(store->KeepCopy().ok());
  }
  std::string Bytes() const {
    std::ifstream file(directory_ + "/state.db", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string directory_;
};

TEST_F(StateStoreTest, BeginsEmpty) {
  const auto state = LoadAnew();
  EXPECT_TRUE(state.resources.empty());
  EXPECT_TRUE(state.endpoints.all().empty());
  EXPECT_TRUE(state.quarantined.empty());
  EXPECT_EQ(state.revision, 0U);
}

TEST_F(StateStoreTest, KeepsWhatWasSaved) {
  const policy::Resource shop = Namespace("shop", "blue");
  {
    const auto store = Open();
    ASSERT_TRUE(store
                    ->Save({.puts = {shop, Namespace("bank", "red")},
                            .new_endpoints = {{{"shop", "web"}, 7}, {{"shop", "db"}, 3}},
                            .revision = 41},
                           Enforced)
                    .ok());
    ASSERT_TRUE(store
                    ->Save({.puts = {Namespace("bank", "green")},
                            .deletes = {shop.id},
                            .new_endpoints = {{{"shop", "web"}, 3}},
                            .gone_endpoints = {{"shop", "db"}},
                            .revision = 42},
                           Enforced)
                    .ok());
  }
  const auto state = LoadAnew();
  EXPECT_EQ(state.revision, 42U);
  ASSERT_EQ(state.resources.size(), 1U);
  EXPECT_EQ(state.resources.begin()->second.ns->labels.at("team"), "green");
  EXPECT_EQ(state.endpoints.all().size(), 1U);
  EXPECT_EQ(state.endpoints.Find({"shop", "web"}), 3U);
}

TEST_F(StateStoreTest, KeepsWhoIsInQuarantine) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Save({.quarantines = {{"shop", "web"}, {"shop", "db"}}, .revision = 1}, Enforced).ok());
    ASSERT_TRUE(
        store->Save({.quarantines = {{"shop", "web"}}, .releases = {{"shop", "db"}}, .revision = 1}, Enforced).ok());
    EXPECT_FALSE(store->Save({.releases = {{"shop", "web"}}, .revision = 1}, [] { return InvalidError("no"); }).ok());
  }
  EXPECT_EQ(LoadAnew().quarantined, (std::set<policy::ObjectName>{{"shop", "web"}}));
}

TEST_F(StateStoreTest, KeepsWhoWasRefused) {
  const Refusals refusals{{{"shop", "web"}, {.problem = "it has no address", .interfaces = {11, 12}}},
                          {{"shop", "db"}, {.problem = "the disk is full", .interfaces = {13}}}};
  ASSERT_TRUE(Open()->Save({.refusals = refusals, .revision = 1}, Enforced).ok());
  EXPECT_EQ(LoadAnew().refusals, refusals);
  ASSERT_TRUE(Open()->Save({.revision = 2}, Enforced).ok());
  EXPECT_EQ(LoadAnew().refusals, refusals) << "a change that says nothing of them";
  ASSERT_TRUE(Open()->Save({.refusals = Refusals(), .revision = 3}, Enforced).ok());
  EXPECT_TRUE(LoadAnew().refusals.empty());
}

TEST_F(StateStoreTest, KeepsWhatWasSetForHookPolicies) {
  const policy::ResourceId files{policy::Kind::kTracingPolicy, {"", "files"}};
  const policy::ResourceId shop{policy::Kind::kTracingPolicyNamespaced, {"shop", "files"}};
  const hooks::HookSettings settings{{files, {.enabled = false, .monitor = {}}},
                                     {shop, {.enabled = true, .monitor = true}}};
  ASSERT_TRUE(Open()->Save({.hook_settings = settings, .revision = 1}, Enforced).ok());
  EXPECT_EQ(LoadAnew().hook_settings, settings);
  ASSERT_TRUE(Open()->Save({.revision = 2}, Enforced).ok());
  EXPECT_EQ(LoadAnew().hook_settings, settings) << "a change that says nothing of them";
  const hooks::HookSettings enforced{{shop, {.enabled = false, .monitor = false}}};
  ASSERT_TRUE(Open()->Save({.hook_settings = enforced, .revision = 3}, Enforced).ok());
  EXPECT_EQ(LoadAnew().hook_settings, enforced);
  Execute("UPDATE hook_setting SET mode = 'of a newer version', enabled = 1");
  EXPECT_TRUE(LoadAnew().hook_settings.empty()) << "the document's own mode";
  Execute("DROP TABLE hook_setting");
  EXPECT_TRUE(LoadAnew().hook_settings.empty()) << "a version without the table";
}

TEST_F(StateStoreTest, ReadsWhatAVersionWithoutRefusalsWroteAlsoWhereNothingCanBeWritten) {
  ASSERT_TRUE(Open()->Save({.puts = {Namespace("shop", "blue")}, .revision = 3}, Enforced).ok());
  Execute("DROP TABLE refused; PRAGMA user_version = 99");
  std::filesystem::copy(directory_ + "/state.db", directory_ + "/state.db.good");
  std::string sql = "PRAGMA user_version = 1";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ + "/state.db.good").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto state = LoadAnew();
  EXPECT_EQ(state.resources.size(), 1U);
  EXPECT_FALSE(state.can_save);
  EXPECT_TRUE(state.refusals.empty());
}

TEST_F(StateStoreTest, ReadsWhatAVersionWithoutQuarantineWrote) {
  ASSERT_TRUE(Open()->Save({.puts = {Namespace("shop", "blue")}, .revision = 3}, Enforced).ok());
  Execute("DROP TABLE quarantine");
  ASSERT_TRUE(Open()->Save({.quarantines = {{"shop", "web"}}, .revision = 3}, Enforced).ok());
  const auto state = LoadAnew();
  EXPECT_EQ(state.resources.size(), 1U);
  EXPECT_EQ(state.quarantined.size(), 1U);
}

TEST_F(StateStoreTest, KeepsNothingOfAChangeThatIsNotEnforced) {
  const auto store = Open();
  ASSERT_TRUE(store->Save({.puts = {Namespace("shop", "blue")}, .revision = 1}, Enforced).ok());
  const Status refused = store->Save({.puts = {Namespace("shop", "red"), Namespace("bank", "red")}, .revision = 2},
                                     [] { return InvalidError("the kernel says no"); });
  EXPECT_EQ(Message(refused), "the kernel says no");
  const auto state = store->Load();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->revision, 1U);
  EXPECT_EQ(state->resources.size(), 1U);
  EXPECT_EQ(state->resources.begin()->second.ns->labels.at("team"), "blue");
  EXPECT_TRUE(store->Save({.puts = {Namespace("bank", "red")}, .revision = 2}, Enforced).ok());
}

TEST_F(StateStoreTest, AProcessKilledAtAnyPointLeavesTheOldOrTheNewState) {
  ASSERT_TRUE(Open()->Save({.puts = {Namespace("shop", "old")}, .revision = 1}, Enforced).ok());
  for (const bool while_enforcing : {true, false}) {
    const pid_t child = fork();
    if (child == 0) {
      auto store = StateStore::Open(directory_);
      if (!store.ok()) _exit(1);
      const Status saved = (*store)->Save({.puts = {Namespace("shop", "new")}, .revision = 2}, [&] {
        if (while_enforcing) kill(getpid(), SIGKILL);
        return OkStatus();
      });
      if (!saved.ok()) _exit(1);
      kill(getpid(), SIGKILL);  // after Save: nothing is closed or flushed
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    const auto state = LoadAnew();
    EXPECT_EQ(state.revision, while_enforcing ? 1U : 2U);
    EXPECT_EQ(state.resources.begin()->second.ns->labels.at("team"), while_enforcing ? "old" : "new");
  }
}

TEST_F(StateStoreTest, OneAgentAtATime) {
  const auto first = Open();
  const auto second = StateStore::Open(directory_);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_THAT(Message(second.status()), HasSubstr(directory_ + "/state.db: in use by another agent"));
}

TEST_F(StateStoreTest, LeavesAloneWhatANewerVersionWrote) {
  Open();
  Execute("PRAGMA user_version = 2");
  const auto before = Bytes();
  {
    const auto store = Open();
    const auto state = store->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(state->unknown) << "there is no copy";
    EXPECT_THAT(state->doubt, HasSubstr("written by a newer version (format 2, this one knows 1)"));
    const Status saved = store->Save({.puts = {Namespace("shop", "blue")}, .revision = 1}, Enforced);
    EXPECT_THAT(Message(saved), HasSubstr("newer version"));
    EXPECT_TRUE(store->KeepCopy().ok());
  }
  EXPECT_EQ(Bytes(), before);
}

TEST_F(StateStoreTest, ReadsTheCopyBesideWhatANewerVersionWrote) {
  SaveShopAndCopy();
  Execute("PRAGMA user_version = 2");
  const auto state = LoadAnew();
  EXPECT_FALSE(state.unknown);
  EXPECT_TRUE(state.resources.contains(Namespace("shop", "blue").id));
}

TEST_F(StateStoreTest, ADamagedFileIsPutAsideAndTheCopyGoesOn) {
  SaveShopAndCopy();
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  const auto state = LoadAnew();
  EXPECT_THAT(state.doubt, AllOf(HasSubstr("state.db: damaged"), HasSubstr("state.db.good")));
  EXPECT_FALSE(state.unknown);
  EXPECT_TRUE(state.resources.contains(Namespace("shop", "blue").id));
  EXPECT_EQ(state.endpoints.Find({"shop", "web"}), 7U);
  EXPECT_EQ(state.revision, 41U);
  EXPECT_EQ(fs::file_size(directory_ + "/state.db.damaged"), 8192U) << "for who wants to look at it";
  EXPECT_FALSE(LoadAnew().doubt.empty()) << "until somebody says what is wanted";
  ASSERT_TRUE(Open()->Save({.revision = 42, .ends_doubt = true}, Enforced).ok());
  EXPECT_EQ(LoadAnew().doubt, "");
}

TEST_F(StateStoreTest, WithoutACopyADamagedFileIsUnknownOverRestarts) {
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  for (int start = 0; start < 2; start++) {
    const auto state = LoadAnew();
    EXPECT_TRUE(state.unknown);
    EXPECT_THAT(state.doubt, AllOf(HasSubstr("state.db: damaged"), HasSubstr("no copy")));
  }
}

TEST_F(StateStoreTest, ACopyThatIsDamagedTooIsNoCopy) {
  SaveShopAndCopy();
  for (const char* file : {"/state.db", "/state.db.good"}) std::ofstream(directory_ + file) << std::string(8192, 'x');
  const auto state = LoadAnew();
  EXPECT_TRUE(state.unknown);
  EXPECT_TRUE(state.resources.empty());
}

TEST_F(StateStoreTest, WhatIsMissingOrEmptyComesFromTheCopy) {
  SaveShopAndCopy();
  for (const bool empty : {false, true}) {
    for (const char* suffix : {"", "-wal"}) fs::remove(directory_ + "/state.db" + suffix);
    if (empty) std::ofstream(directory_ + "/state.db");
    const auto state = LoadAnew();
    EXPECT_THAT(state.doubt, HasSubstr("missing or empty"));
    EXPECT_TRUE(state.resources.contains(Namespace("shop", "blue").id)) << empty;
  }
}

TEST_F(StateStoreTest, ABadRowComesFromTheCopyAndOthersAreRead) {
  SaveShopAndCopy();
  ASSERT_TRUE(Open()->Save({.puts = {Namespace("later", "red")}, .revision = 42}, Enforced).ok());
  Execute("UPDATE resource SET yaml = '{apiVersion: v9, kind: Namespace}' WHERE name = 'shop'");
  {
    const auto store = Open();
    const auto state = store->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(state->unreadable.empty());
    EXPECT_EQ(state->resources.size(), 2U);
    EXPECT_EQ(state->resources.at(Namespace("shop", "blue").id).yaml, Namespace("shop", "blue").yaml);
    ASSERT_EQ(state->problems.size(), 1U);
    EXPECT_THAT(state->problems[0], AllOf(HasSubstr("shop"), HasSubstr("v9"), HasSubstr("state.db.good")));
    ASSERT_TRUE(store->KeepCopy().ok());
  }
  EXPECT_TRUE(LoadAnew().problems.empty()) << "it was written again";
}

TEST_F(StateStoreTest, SaysWhichResourceItCannotReadAndKeepsTheCopy) {
  SaveShopAndCopy();
  Execute("INSERT INTO resource VALUES('v1', 'Namespace', '', 'x', '{apiVersion: v9, kind: Namespace}')");
  const policy::ResourceId id = Namespace("x", "blue").id;
  const auto store = Open();
  const auto state = store->Load();
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_TRUE(state->unreadable.contains(id));
  EXPECT_THAT(state->unreadable.at(id), AllOf(HasSubstr("state.db"), HasSubstr("v9")));
  EXPECT_EQ(state->resources.size(), 1U);
  const auto copied = fs::last_write_time(directory_ + "/state.db.good");
  ASSERT_TRUE(store->Save({.quarantines = {{"shop", "web"}}, .revision = 41}, Enforced).ok());
  ASSERT_TRUE(store->KeepCopy().ok());
  EXPECT_EQ(fs::last_write_time(directory_ + "/state.db.good"), copied) << "a bad row does not get into it";
  ASSERT_TRUE(store->Save({.deletes = {id}, .revision = 42}, Enforced).ok());
  ASSERT_TRUE(store->KeepCopy().ok());
  EXPECT_NE(fs::last_write_time(directory_ + "/state.db.good"), copied);
}

TEST_F(StateStoreTest, ABadNumberIsGivenAnew) {
  SaveShopAndCopy();
  Execute("UPDATE endpoint SET number = 4000000");
  const auto state = LoadAnew();
  EXPECT_EQ(state.endpoints.Find({"shop", "web"}), 0U);
  ASSERT_EQ(state.problems.size(), 1U);
  EXPECT_THAT(state.problems[0], HasSubstr("shop/web"));
}

// As after a kill: the last changes are only in the log, which SQLite cannot read on a read-only file system.
TEST_F(StateStoreTest, WhereItCannotWriteItReads) {
  SL_REQUIRE_NETNS();
  const pid_t child = fork();
  if (child == 0) {
    const auto store = StateStore::Open(directory_);
    const bool saved =
        store.ok() && (*store)->Save({.puts = {Namespace("shop", "blue")}, .revision = 3}, Enforced).ok();
    _exit(saved ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(mount(directory_.c_str(), directory_.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(mount(nullptr, directory_.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
  {
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    const auto state = store->Load();
    EXPECT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(state->resources.contains(Namespace("shop", "blue").id));
    EXPECT_EQ(state->doubt, "");
    EXPECT_EQ(state->problems.size(), 1U) << "that nothing can be saved";
    EXPECT_FALSE(store->Save({.revision = 4}, Enforced).ok());
  }
  EXPECT_EQ(umount(directory_.c_str()), 0);
  EXPECT_EQ(LoadAnew().revision, 3U);
}

TEST_F(StateStoreTest, AFullDiskRefusesTheChangeAndLosesNothing) {
  SL_REQUIRE_NETNS();
  ASSERT_EQ(mount("none", directory_.c_str(), "tmpfs", 0, "size=256k"), 0);
  {
    const auto store = Open();
    ASSERT_TRUE(store->Load().ok());
    ASSERT_TRUE(store->Save({.puts = {Namespace("shop", "blue")}, .revision = 3}, Enforced).ok());
    std::ofstream(directory_ + "/filler") << std::string(1 << 20, 'x');
    const Status saved = store->Save({.puts = {Namespace("other", "red")}, .revision = 4}, Enforced);
    EXPECT_TRUE(absl::IsResourceExhausted(saved)) << saved;
    EXPECT_FALSE(store->KeepCopy().ok());
  }
  const auto state = LoadAnew();  // the disk is still full
  EXPECT_EQ(state.revision, 3U);
  EXPECT_EQ(state.resources.size(), 1U);
  EXPECT_EQ(umount(directory_.c_str()), 0);
}

// An incomplete copy must not count as a damaged file, and then as no state at all.
TEST_F(StateStoreTest, AFullDiskLosesNoCopyOfADamagedFile) {
  SL_REQUIRE_NETNS();
  ASSERT_EQ(mount("none", directory_.c_str(), "tmpfs", 0, "size=256k"), 0);
  SaveShopAndCopy();
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  std::ofstream(directory_ + "/filler") << std::string(1 << 20, 'x');
  for (const bool is_full : {true, true, false, false}) {
    if (!is_full) fs::remove(directory_ + "/filler");
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    const auto state = store->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(state->resources.contains(Namespace("shop", "blue").id));
    EXPECT_NE(state->doubt, "");
    EXPECT_FALSE(state->unknown);
    EXPECT_EQ(store->Save({.revision = 41}, Enforced).ok(), !is_full);
    EXPECT_TRUE(store->KeepCopy().ok());
    EXPECT_FALSE(fs::exists(directory_ + "/state.db.new"));
  }
  EXPECT_EQ(umount(directory_.c_str()), 0);
}

TEST_F(StateStoreTest, WhatIsUnknownReplacesNoCopy) {
  SaveShopAndCopy();
  for (const char* file : {"/state.db", "/state.db.good"}) std::ofstream(directory_ + file) << std::string(8192, 'x');
  for (int start = 0; start < 2; start++) {
    const auto store = Open();
    const auto state = store->Load();
    ASSERT_TRUE(state.ok() && state->unknown);
    ASSERT_TRUE(store->Save({.quarantines = {{"shop", "web"}}}, Enforced).ok());
    ASSERT_TRUE(store->KeepCopy().ok());
    EXPECT_EQ(fs::file_size(directory_ + "/state.db.good"), 8192U) << "it may still be mended";
  }
  const auto store = Open();
  ASSERT_TRUE(store->Load().ok());
  ASSERT_TRUE(store->Save({.puts = {Namespace("shop", "blue")}, .revision = 1, .ends_doubt = true}, Enforced).ok());
  ASSERT_TRUE(store->KeepCopy().ok());
  EXPECT_NE(fs::file_size(directory_ + "/state.db.good"), 8192U);
}

TEST_F(StateStoreTest, ACopyOfNothingIsNothing) {
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  EXPECT_TRUE(LoadAnew().unknown);
  fs::copy_file(directory_ + "/state.db", directory_ + "/state.db.good");  // the format of older versions
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  EXPECT_TRUE(LoadAnew().unknown);
}

TEST_F(StateStoreTest, ARowOfUnknownKindIsUnknownUntilSomebodySaysWhatIsWanted) {
  SaveShopAndCopy();
  Execute("INSERT INTO resource VALUES('sluice.dev/v2', 'Fence', '', 'x', '{}')");
  const auto copied = fs::last_write_time(directory_ + "/state.db.good");
  {
    const auto store = Open();
    const auto state = store->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE(state->unknown);
    EXPECT_THAT(state->doubt, HasSubstr("sluice.dev/v2 Fence"));
    EXPECT_TRUE(state->resources.contains(Namespace("shop", "blue").id));
    ASSERT_TRUE(store->KeepCopy().ok());
    EXPECT_EQ(fs::last_write_time(directory_ + "/state.db.good"), copied);
    ASSERT_TRUE(store->Save({.revision = 42, .ends_doubt = true}, Enforced).ok());
  }
  const auto state = LoadAnew();
  EXPECT_EQ(state.doubt, "");
  EXPECT_FALSE(state.unknown);
  EXPECT_TRUE(state.resources.contains(Namespace("shop", "blue").id));
}

TEST_F(StateStoreTest, ReadsWhereNothingCanBeWrittenBesideMemory) {
  SL_REQUIRE_NETNS();
  SaveShopAndCopy();
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(2);
    if (mount("none", "/dev/shm", "tmpfs", 0, nullptr) != 0 || mount("/tmp", "/tmp", nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, "/tmp", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      _exit(2);
    const auto store = StateStore::Open(directory_);
    const auto state = store.ok() ? (*store)->Load() : StateStore::State();
    const bool is_read = state.ok() && state->resources.contains(Namespace("shop", "blue").id);
    _exit(is_read && fs::is_empty("/dev/shm") ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StateStoreTest, ChangesNoRightsOfADirectoryThatWasThere) {
  fs::permissions(directory_, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  SaveShopAndCopy();
  EXPECT_EQ(fs::status(directory_).permissions(), fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  for (const char* file : {"state.db", "state.db.good"}) {
    EXPECT_EQ(fs::status(directory_ + "/" + file).permissions() & (fs::perms::group_all | fs::perms::others_all),
              fs::perms::none)
        << file;
  }
}

TEST_F(StateStoreTest, SaysThatItMayNotWrite) {
  std::ofstream(directory_ + "/file") << "";
  const auto store = StateStore::Open(directory_ + "/file/state");
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(Message(store.status()), HasSubstr("create the state directory " + directory_ + "/file/state"));
}

TEST_F(StateStoreTest, IsNobodyElsesBusiness) {
  fs::remove(directory_);
  Open();
  EXPECT_EQ(fs::status(directory_).permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none);
}

TEST_F(StateStoreTest, RemoveLeavesNothingOfItsOwn) {
  ASSERT_TRUE(Open()->Save({.puts = {Namespace("shop", "blue")}, .revision = 1}, Enforced).ok());
  std::ofstream(directory_ + "/notes") << "mine";
  ASSERT_TRUE(StateStore::Remove(directory_).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
  fs::remove(directory_ + "/notes");
  Open();
  ASSERT_TRUE(StateStore::Remove(directory_).ok());
  EXPECT_FALSE(fs::exists(directory_));
  EXPECT_TRUE(StateStore::Remove(directory_).ok());
}

}  // namespace
}  // namespace sluice::reconcile
