// The policy that users write first, word for word: who reads the file dies, and nothing else changes.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "tests/hooks/hook_test.h"
#include "tests/probes/sensor_fixture.h"
#include "tests/support/first_hook_policy.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

// The policy for the pods of one namespace only.
std::string ForNamespace(const std::string& ns) {
  std::string text = kPreventRead;
  const std::string kind = "kind: TracingPolicy\n", name = "  name: \"prevent-default-json-read\"\n";
  text.replace(text.find(kind), kind.size(), "kind: TracingPolicyNamespaced\n");
  text.replace(text.find(name), name.size(), name + "  namespace: " + ns + "\n");
  return text;
}

// A container's root: this system's programs, and files of its own.
class ContainerRoot {
 public:
  ContainerRoot() {
    for (const char* name : {"default.json", "other.json"}) directory_.Write(name, "{}\n", 0644);
    fs::create_directory(directory_.path() + "/usr");
    for (const char* name : {"bin", "lib", "lib64"}) {
      if (fs::is_symlink(std::string("/") + name))
        fs::create_symlink(std::string("usr/") + name, directory_.path() + "/" + name);
    }
  }
  // In a child: a shell in this root and in the pod's network namespace.
  pid_t Run(const Netns& netns, const std::string& command) const {
    return Fork([&] {
      netns.Enter();
      const int nowhere = open("/dev/null", O_WRONLY);
      if (dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0) _exit(96);
      const std::string usr = directory_.path() + "/usr";
      if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          mount("/usr", usr.c_str(), nullptr, MS_BIND, nullptr) != 0 || chroot(directory_.path().c_str()) != 0 ||
          chdir("/") != 0)
        _exit(97);
      Exec("/usr/bin/sh", {"sh", "-c", command});
    });
  }

 private:
  TempDir directory_;
};

hooks::Subject PodOf(const std::string& ns, const Netns& netns) {
  hooks::Subject pod{.key = ns + "/web", .netns = {netns.inode()}};
  pod.facts.ns = ns;
  return pod;
}

class FirstHookPolicy : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForKprobes(); !missing.empty()) GTEST_SKIP() << missing;
    auto sensors = SensorFixture::Create({});
    ASSERT_TRUE(sensors.ok()) << sensors.status();
    sensors_ = *std::move(sensors);
    auto made = HookFixture::Create({.processes_fd = sensors_->sensor().map_fd("processes")});
    ASSERT_TRUE(made.ok()) << made.status();
    hooks_ = *std::move(made);
    ASSERT_TRUE(hooks_->tables().SetSubjects({PodOf("shop", shop_), PodOf("bank", bank_)}).ok());
  }
  // The exit code that a shell sees of a command in its child: 137 if SIGKILL ended it.
  int ExitOf(const Netns& netns, const std::string& command) const {
    const int status = Reap(root_.Run(netns, command + "; exit $?"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::unique_ptr<SensorFixture> sensors_;
  std::unique_ptr<HookFixture> hooks_;
  const Netns shop_, bank_;
  const ContainerRoot root_;
};

TEST_F(FirstHookPolicy, WhoReadsTheFileDies) {
  ASSERT_EQ(ExitOf(shop_, "cat /default.json"), 0) << "no policy yet";
  const Status applied = hooks_->Apply(kPreventRead);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(hooks_->tables().List().at(0).hooks.at(0).attached, "kprobe security_file_permission");
  hooks_->Take();
  EXPECT_EQ(ExitOf(shop_, "cat /default.json"), 137);
  EXPECT_EQ(ExitOf(shop_, "cat /other.json"), 0);
  EXPECT_EQ(ExitOf(shop_, "test -f /default.json"), 0) << "which does not read it";

  const auto record =
      hooks_->WaitFor([](const HookRecord& record) { return record.event.kind == SL_HOOK_EVENT_ENTER; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(hooks_->PolicyOf(*record), "prevent-default-json-read");
  EXPECT_EQ(hooks_->tables().KeyOf(record->event.subject), "shop/web");
  EXPECT_EQ(record->Text(0), "/default.json");
  EXPECT_EQ(record->event.arguments[1].number, 4U);
  EXPECT_TRUE(record->Did(SL_HOOK_ACTION_SIGNAL));
  EXPECT_TRUE(record->Did(SL_HOOK_ACTION_POST));
  const auto at_return = hooks_->WaitFor([&](const HookRecord& one) { return one.event.call == record->event.call; });
  ASSERT_TRUE(at_return.ok()) << at_return.status();
  EXPECT_EQ(at_return->event.kind, SL_HOOK_EVENT_RETURN);
  EXPECT_EQ(at_return->event.return_value, 0);

  ASSERT_NE(record->event.process, 0U);
  const auto exit = sensors_->WaitForExit(static_cast<pid_t>(record->event.pid));
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(exit->signal(), "SIGKILL");
  EXPECT_EQ(fs::path(exit->process().binary()).filename(), "cat");
  EXPECT_EQ(fs::path(exit->process().ancestors(0)).filename(), fs::canonical("/usr/bin/sh").filename());
}

TEST_F(FirstHookPolicy, OtherWorkloadsAreUntouched) {
  const Status applied = hooks_->Apply(ForNamespace("shop"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(ExitOf(shop_, "cat /default.json"), 137);
  EXPECT_EQ(ExitOf(bank_, "cat /default.json"), 0);
  EXPECT_EQ(ExitOf(shop_, "cat /other.json"), 0);
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_EQ(ExitOf(shop_, "cat /default.json"), 0);
}

}  // namespace
}  // namespace sluice::test
