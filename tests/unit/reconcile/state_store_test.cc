#include "ctrl/reconcile/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "policy/parser.h"

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
  // In SQLite's own words, as another program would change the file.
  void Execute(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ + "/state.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static Status Enforced() { return OkStatus(); }

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

TEST_F(StateStoreTest, RefusesWhatANewerVersionWrote) {
  Open();
  Execute("PRAGMA user_version = 2");
  const auto store = StateStore::Open(directory_);
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_THAT(Message(store.status()), HasSubstr("written by a newer version (format 2, this one knows 1)"));
}

TEST_F(StateStoreTest, SaysThatAFileIsDamaged) {
  std::ofstream(directory_ + "/state.db") << std::string(8192, 'x');
  const auto store = StateStore::Open(directory_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(Message(store.status()), HasSubstr("state.db: damaged"));
}

TEST_F(StateStoreTest, SaysWhichResourceItCannotRead) {
  Open();
  Execute("INSERT INTO resource VALUES('v1', 'Namespace', '', 'x', '{apiVersion: v9, kind: Namespace}')");
  const auto state = Open()->Load();
  ASSERT_FALSE(state.ok());
  EXPECT_THAT(Message(state.status()), HasSubstr("state.db"));
  EXPECT_THAT(Message(state.status()), HasSubstr("v9"));
}

TEST_F(StateStoreTest, SaysThatItMayNotWrite) {
  std::ofstream(directory_ + "/file") << "";
  const auto store = StateStore::Open(directory_ + "/file/state");
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(Message(store.status()), HasSubstr("create the state directory " + directory_ + "/file/state"));
}

TEST_F(StateStoreTest, IsNobodyElsesBusiness) {
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
