// `sluice-cni install` and `uninstall`: the real program, in directories as network plugins leave them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/fd.h"
#include "testbed/command.h"
#include "tests/unit/cni/net_config.h"
#include "tests/unit/cni/plugin_process.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using test::LoadNetwork;
using test::PluginRun;
using test::ScratchDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

constexpr const char* kOurs = "sluice-cni";

class Installer : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(conf());
    fs::create_directories(bin());
  }
  std::string conf(const std::string& name = "") const { return node_.path(name.empty() ? "conf" : "conf/" + name); }
  std::string bin() const { return node_.path("bin"); }

  Words Arguments(const std::string& verb, const Words& more = {}) const {
    Words words{verb, "--conf-dir", conf(), "--bin-dir", bin()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  PluginRun Try(const std::string& verb, const Words& more = {}) const {
    return test::RunPluginProcess({}, "", Arguments(verb, more));
  }
  void Do(const std::string& verb, const Words& more = {}) const {
    const auto run = Try(verb, more);
    EXPECT_EQ(run.exit_code, 0) << run.err;
  }
  Words Plugins(bool drop_ins = true) const {
    const auto network = LoadNetwork(conf(), bin(), drop_ins);
    EXPECT_EQ(network.error, "") << network.file;
    return network.plugins;
  }
  std::string First() const { return LoadNetwork(conf(), bin()).file; }
  void Write(const std::string& name, const std::string& text) const { node_.Write("conf/" + name, text); }
  std::string Read(const std::string& name) const { return node_.Read("conf/" + name); }
  // Every file of the node, with its content; JSON however it is laid out.
  std::map<std::string, std::string> Everything() const {
    std::map<std::string, std::string> files;
    for (const auto& file : fs::recursive_directory_iterator(node_.path())) {
      const std::string name = fs::relative(file.path(), node_.path());
      if (!file.is_directory()) files[name] = name == "bin/sluice-cni" ? "the plugin" : TextOf(node_.Read(name));
    }
    return files;
  }

  static std::string TextOf(const std::string& content) {
    const auto parsed = nlohmann::ordered_json::parse(content, nullptr, false);
    return parsed.is_discarded() ? content : parsed.dump(1);
  }

  ScratchDirectory node_;
};

TEST_F(Installer, EntersItselfBehindTheOthers) {
  for (const auto& [file, text, plugins] : std::vector<std::tuple<std::string, std::string, Words>>{
           {"10-flannel.conflist", test::kFlannelList, {"flannel", "portmap", kOurs}},
           {"10-kindnet.conflist", test::kPtpList, {"ptp", "portmap", kOurs}},
           {"10-calico.conflist", test::kCalicoList, {"calico", "portmap", "bandwidth", kOurs}}}) {
    Write(file, text);
    Do("install");
    EXPECT_EQ(Plugins(), plugins);
    json wanted = json::parse(text);
    wanted["plugins"].push_back({{"type", kOurs}});
    EXPECT_EQ(json::parse(Read(file)), wanted) << "the rest is as it was";
    EXPECT_LT(Read(file).find("\"plugins\""), Read(file).find(kOurs));
    const auto again = Try("install");
    EXPECT_EQ(again.exit_code, 0);
    EXPECT_EQ(again.out, "nothing to do\n");
    Do("uninstall");
    EXPECT_EQ(json::parse(Read(file)), json::parse(text));
    EXPECT_THAT(node_.List("bin"), IsEmpty());
    EXPECT_THAT(node_.List("conf"), ElementsAre(file));
    EXPECT_EQ(Try("uninstall").out, "nothing to do\n");
    fs::remove(conf(file));
  }
}

TEST_F(Installer, TheOrderOfKeysAndTheFilesOwnerStay) {
  Write("10-flannel.conflist", test::kFlannelList);
  ASSERT_EQ(chmod(conf("10-flannel.conflist").c_str(), 0600), 0);
  if (getuid() == 0) {
    ASSERT_EQ(chown(conf("10-flannel.conflist").c_str(), 12, 34), 0);
  }
  Do("install");
  const std::string text = Read("10-flannel.conflist");
  EXPECT_LT(text.find("\"name\""), text.find("\"cniVersion\""));
  struct stat facts {};
  ASSERT_EQ(stat(conf("10-flannel.conflist").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
  if (getuid() == 0) {
    EXPECT_EQ(facts.st_uid, 12U);
    EXPECT_EQ(facts.st_gid, 34U);
  }
}

TEST_F(Installer, TheCopyIsThisProgramAndRuns) {
  Write("10-flannel.conflist", test::kFlannelList);
  node_.Write("bin/sluice-cni", "an older one");
  Do("install");
  const auto same = test::RunCommand({"cmp", bin() + "/sluice-cni", test::PluginPath()});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->exit_code, 0) << same->output;
  const auto run = test::RunCommand({bin() + "/sluice-cni", "--version"});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->output, HasSubstr("CNI 0.3.1 to 1.1.0"));
}

TEST_F(Installer, OptionsAreKeysOfTheEntry) {
  Write("10-flannel.conflist", test::kFlannelList);
  Do("install", {"--socket", "/run/x.sock", "--timeout", "7", "--when-agent-away", "closed", "--directory", "/run/d",
                 "--log", "/var/log/sluice-cni.log"});
  EXPECT_EQ(json::parse(Read("10-flannel.conflist"))["plugins"].back(), (json{{"type", kOurs},
                                                                              {"socket", "/run/x.sock"},
                                                                              {"timeout", 7},
                                                                              {"whenAgentAway", "closed"},
                                                                              {"directory", "/run/d"},
                                                                              {"log", "/var/log/sluice-cni.log"}}));
  Do("install", {"--timeout", "9"});
  EXPECT_EQ(json::parse(Read("10-flannel.conflist"))["plugins"].back(), (json{{"type", kOurs}, {"timeout", 9}}));
  EXPECT_EQ(Plugins(), (Words{"flannel", "portmap", kOurs})) << "one entry";
}

TEST_F(Installer, TheFirstFileIsTheOneThatCounts) {
  Write("20-other.conflist", test::kCalicoList);
  Write("10-flannel.conflist", test::kFlannelList);
  Write("00-readme.txt", "not a configuration");
  Write(".hidden.tmp", "{");
  Do("install");
  EXPECT_EQ(First(), "10-flannel.conflist");
  EXPECT_EQ(Plugins().back(), kOurs);
  EXPECT_EQ(Read("20-other.conflist"), test::kCalicoList);
  Write("05-new.conflist", test::kPtpList);
  Do("install");
  EXPECT_EQ(Plugins(), (Words{"ptp", "portmap", kOurs}));
  Do("uninstall");
  for (const char* file : {"05-new.conflist", "10-flannel.conflist"})
    EXPECT_EQ(Read(file).find(kOurs), std::string::npos);
}

TEST_F(Installer, ASingleConfigurationBecomesAList) {
  for (const char* name : {"10-bridge.conf", "10-bridge.json"}) {
    Write(name, test::kBridgeConf);
    Do("install");
    EXPECT_EQ(First(), "10-bridge.conflist");
    EXPECT_EQ(Plugins(), (Words{"bridge", kOurs}));
    const json list = json::parse(Read("10-bridge.conflist"));
    EXPECT_EQ(list["name"], "mynet");
    EXPECT_EQ(list["cniVersion"], "0.3.1");
    EXPECT_EQ(list["plugins"][0], json::parse(test::kBridgeConf));
    EXPECT_EQ(Read(std::string(name) + ".sluice-saved"), test::kBridgeConf);
    EXPECT_EQ(Try("install").out, "nothing to do\n");
    // Its maker writes it again, with another content.
    std::string newer = test::kBridgeConf;
    newer.replace(newer.find("cni0"), 4, "cni7");
    Write(name, newer);
    Do("install", {"--timeout", "9"});
    EXPECT_EQ(json::parse(Read("10-bridge.conflist"))["plugins"][0]["bridge"], "cni7");
    EXPECT_EQ(First(), "10-bridge.conflist");
    EXPECT_EQ(Read(std::string(name) + ".sluice-saved"), newer);
    Do("uninstall");
    EXPECT_THAT(node_.List("conf"), ElementsAre(name));
    EXPECT_EQ(Read(name), newer);
    fs::remove(conf(name));
  }
}

TEST_F(Installer, UninstallFindsWhatOthersMadeOfASingleConfiguration) {
  Write("10-bridge.conf", test::kBridgeConf);
  Do("install");
  // Written again by its maker, and nobody has installed since.
  Write("10-bridge.conf", test::kBridgeConf);
  Do("uninstall");
  EXPECT_THAT(node_.List("conf"), ElementsAre("10-bridge.conf"));
  // The saved file has gone: the list is all that there is.
  Do("install");
  fs::remove(conf("10-bridge.conf.sluice-saved"));
  Do("uninstall");
  EXPECT_THAT(node_.List("conf"), ElementsAre("10-bridge.conflist"));
  EXPECT_EQ(Plugins(), (Words{"bridge"}));
}

TEST_F(Installer, WhatItMustNotTouchIsNamedAndStays) {
  std::string macvlan = test::kFlannelList, old = test::kFlannelList, nameless = test::kFlannelList;
  macvlan.replace(macvlan.find("flannel"), 7, "macvlan");
  old.replace(old.find("0.3.1"), 5, "0.2.0");
  nameless.replace(nameless.find("cbr0"), 4, "");
  for (const auto& [file, text, expected] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"10-x.conflist", macvlan, "main plugin macvlan makes no veth"},
           {"10-x.conflist", old, "cniVersion 0.2.0"},
           {"10-x.conflist", nameless, "name"},
           {"10-x.conflist", R"({"name":"x","cniVersion":"1.0.0","plugins":[]})", "plugins"},
           {"10-x.conflist", R"({"name":"x","cniVersion":"1.0.0","plugins":[{}]})", "type"},
           {"10-x.conflist", R"({"name":"x","cniVersion":"1.0.0","plugins":[{"type":"sluice-cni"}]})", "stands first"},
           {"10-x.conflist", R"({"name":"x","plugins":[{"type":"bridge"}]})", "cniVersion 0.1.0"},
           {"10-x.conflist", std::string(test::kFlannelList).substr(0, 90), "no JSON object"},
           {"10-x.conflist", "", "no JSON object"},
           {"10-x.conf", R"({"name":"x","cniVersion":"1.0.0"})", "type"},
           {"10-x.conf", R"({"name":"x","cniVersion":"1.0.0","type":"ipvlan"})", "ipvlan"}}) {
    Write(file, text);
    const auto run = Try("install");
    EXPECT_EQ(run.exit_code, 1) << text;
    EXPECT_THAT(run.err, HasSubstr(expected));
    EXPECT_EQ(Read(file), text);
    EXPECT_THAT(node_.List("conf"), ElementsAre(file));
    fs::remove(conf(file));
  }
  Write("10-x.conf", test::kBridgeConf);
  Write("10-x.conflist", test::kFlannelList);
  const auto both = Try("install");
  EXPECT_EQ(both.exit_code, 1);
  EXPECT_THAT(both.err, HasSubstr("10-x.conflist is there too"));
  EXPECT_EQ(Read("10-x.conflist"), test::kFlannelList);
  fs::remove_all(conf());
  EXPECT_THAT(Try("install").err, HasSubstr(conf()));
  fs::create_directories(conf());
  EXPECT_THAT(Try("install").err, HasSubstr("no network configuration"));
  EXPECT_THAT(node_.List("conf"), IsEmpty());
}

TEST_F(Installer, UninstallDoesNotStopAtAFileOfOthers) {
  Write("05-broken.conflist", "{ \"half");
  Write("10-flannel.conflist", test::kFlannelList);
  fs::remove(conf("05-broken.conflist"));
  Do("install");
  Write("05-broken.conflist", "{ \"half");
  Do("uninstall");
  EXPECT_EQ(Read("10-flannel.conflist").find(kOurs), std::string::npos);
  EXPECT_THAT(node_.List("bin"), IsEmpty());
}

TEST_F(Installer, UninstallKeepsTheBinaryWhileAnEntryMayBeLeft) {
  Write("10-flannel.conflist", test::kFlannelList);
  Do("install");
  Write("05-half.conflist", "{ \"plugins\": [{\"type\": \"sluice-cni\"");
  const auto run = Try("uninstall");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("05-half.conflist"));
  EXPECT_THAT(node_.List("bin"), ElementsAre(kOurs));
  EXPECT_EQ(Read("10-flannel.conflist").find(kOurs), std::string::npos);
  fs::remove(conf("05-half.conflist"));
  Do("uninstall", {"--keep-binary"});
  EXPECT_THAT(node_.List("bin"), ElementsAre(kOurs));
  Do("uninstall");
  EXPECT_THAT(node_.List("bin"), IsEmpty());
}

TEST_F(Installer, ADropInLeavesTheConfigurationAlone) {
  Write("10-flannel.conflist", test::kFlannelList);
  Do("install", {"--drop-in", "--timeout", "5"});
  EXPECT_EQ(Read("10-flannel.conflist"), test::kFlannelList);
  EXPECT_EQ(json::parse(Read("cbr0/50-sluice.conf")), (json{{"type", kOurs}, {"timeout", 5}}));
  EXPECT_EQ(Plugins(), (Words{"flannel", "portmap", kOurs}));
  EXPECT_EQ(Plugins(false), (Words{"flannel", "portmap"})) << "older runtimes ignore it";
  EXPECT_EQ(Try("install", {"--drop-in", "--timeout", "5"}).out, "nothing to do\n");
  // From one form to the other, and back: one entry each time.
  Do("install");
  EXPECT_EQ(Plugins(), (Words{"flannel", "portmap", kOurs}));
  EXPECT_FALSE(fs::exists(conf("cbr0")));
  Do("install", {"--drop-in"});
  EXPECT_EQ(Plugins(), (Words{"flannel", "portmap", kOurs}));
  EXPECT_EQ(json::parse(Read("10-flannel.conflist")), json::parse(test::kFlannelList));
  Write("cbr0/90-others.conf", R"({"type":"tuning"})");
  Do("uninstall");
  EXPECT_EQ(Plugins(), (Words{"flannel", "portmap", "tuning"})) << "others' drop-ins stay";
  EXPECT_THAT(node_.List("bin"), IsEmpty());
}

TEST_F(Installer, ADropInIsRefusedWhereItWouldNotBeRead) {
  std::string only = test::kFlannelList;
  only.insert(only.find("\"name\""), "\"loadOnlyInlinedPlugins\": true, ");
  Write("10-flannel.conflist", only);
  EXPECT_THAT(Try("install", {"--drop-in"}).err, HasSubstr("loadOnlyInlinedPlugins"));
  fs::remove(conf("10-flannel.conflist"));
  Write("10-bridge.conf", test::kBridgeConf);
  EXPECT_THAT(Try("install", {"--drop-in"}).err, HasSubstr("single configuration"));
  fs::remove(conf("10-bridge.conf"));
  Write("10-x.conflist", R"({"name":"../../x","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]})");
  EXPECT_EQ(Try("install", {"--drop-in"}).exit_code, 1);
}

// containerd loads again on a write, on a rename within the directory and on a removal, not on a file that appears.
TEST_F(Installer, ContainerdHearsOfEachChange) {
  const auto heard = [&](const Words& more) {
    const Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    EXPECT_GE(inotify_add_watch(inotify.get(), conf().c_str(), IN_MOVED_FROM | IN_DELETE), 0);
    Do("install", more);
    char events[4096];
    return read(inotify.get(), events, sizeof(events)) > 0;
  };
  Write("10-flannel.conflist", test::kFlannelList);
  EXPECT_TRUE(heard({}));
  EXPECT_FALSE(heard({})) << "nothing is written where nothing has to be";
  EXPECT_TRUE(heard({"--drop-in"}));
  EXPECT_TRUE(heard({"--drop-in", "--timeout", "3"}));
}

TEST_F(Installer, WrongArgumentsAreNamed) {
  for (const auto& [words, expected] :
       std::vector<std::pair<Words, std::string>>{{{"instal"}, "unknown command instal"},
                                                  {{"install", "--confdir", "/x"}, "--confdir"},
                                                  {{"install", "--conf-dir"}, "needs a value"},
                                                  {{"install", "--conf-dir", "x"}, "--conf-dir needs an absolute path"},
                                                  {{"install", "--timeout", "0"}, "--timeout"},
                                                  {{"install", "--timeout", "5s"}, "--timeout"},
                                                  {{"install", "--when-agent-away", "open"}, "fail or closed"},
                                                  {{"install", "--keep-binary"}, "no option of install"},
                                                  {{"uninstall", "--watch"}, "no option of uninstall"},
                                                  {{"install", "more"}, "unexpected argument more"}}) {
    const auto run = test::RunPluginProcess({}, "", words);
    EXPECT_EQ(run.exit_code, 2) << run.out;
    EXPECT_THAT(run.err, HasSubstr(expected));
  }
  EXPECT_THAT(test::RunPluginProcess({}, "", {"--help"}).out, HasSubstr("sluice-cni uninstall"));
}

// ---- --watch ----

class InstallerWatch : public Installer {
 protected:
  void Start(const Words& more = {}) {
    Words words{test::PluginPath()};
    Words arguments = Arguments("install", {"--watch"});
    words.insert(words.end(), arguments.begin(), arguments.end());
    words.insert(words.end(), more.begin(), more.end());
    auto started = test::ChildProcess::Start(words);
    ASSERT_TRUE(started.ok()) << started.status();
    watcher_ = std::make_unique<test::ChildProcess>(*std::move(started));
  }
  void Hears(const std::string& text, int seconds = 20) {
    const auto output = watcher_->WaitForOutput(text, seconds);
    EXPECT_TRUE(output.ok()) << output.status() << watcher_->read();
  }
  bool Becomes(const std::function<bool()>& condition) const {
    for (int i = 0; i < 2000; ++i, std::this_thread::sleep_for(10ms)) {
      if (condition()) return true;
    }
    return false;
  }
  bool HasEntry() const {
    const auto network = LoadNetwork(conf(), bin());
    return network.error.empty() && !network.plugins.empty() && network.plugins.back() == kOurs;
  }

  std::unique_ptr<test::ChildProcess> watcher_;
};

TEST_F(InstallerWatch, PutsTheEntryBack) {
  Write("10-flannel.conflist", test::kFlannelList);
  Start();
  Hears("installed; watching");
  Write("10-flannel.conflist", test::kFlannelList);  // as flannel does when it starts
  Hears("another program had changed that; it is in place again");
  EXPECT_TRUE(HasEntry());
  fs::remove(bin() + "/sluice-cni");
  EXPECT_TRUE(Becomes([&] { return fs::exists(bin() + "/sluice-cni"); }));
  Write("05-other.conflist", test::kCalicoList);
  EXPECT_TRUE(Becomes([&] { return First() == "05-other.conflist" && HasEntry(); }));
  ASSERT_TRUE(watcher_->Signal(SIGTERM).ok());
  const auto ended = watcher_->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0);
  EXPECT_TRUE(HasEntry()) << "the entry stays";
}

TEST_F(InstallerWatch, WaitsForTheFirstConfiguration) {
  Start();
  Hears("waiting: " + conf() + " has no network configuration");
  Write("10-x.conflist", std::string(test::kFlannelList).substr(0, 50));
  Hears("no JSON object");
  EXPECT_FALSE(HasEntry());
  Write("10-x.conflist", test::kFlannelList);
  Hears("installed; watching");
  EXPECT_TRUE(HasEntry());
}

TEST_F(InstallerWatch, ADirectoryThatIsMadeAnewIsWatchedToo) {
  Write("10-flannel.conflist", test::kFlannelList);
  Start();
  Hears("installed; watching");
  fs::remove_all(conf());
  Hears("waiting: ");
  Write("10-flannel.conflist", test::kFlannelList);
  EXPECT_TRUE(Becomes([&] { return HasEntry(); }));
}

TEST_F(InstallerWatch, DoesNotFightForEver) {
  Write("10-flannel.conflist", test::kFlannelList);
  Start();
  Hears("installed; watching");
  // Another installer that takes the entry out as soon as it is there.
  int overwritten = 0;
  for (const auto end = std::chrono::steady_clock::now() + 12s; std::chrono::steady_clock::now() < end;) {
    if (HasEntry()) {
      Write("10-flannel.conflist", test::kFlannelList);
      ++overwritten;
    }
    std::this_thread::sleep_for(20ms);
  }
  Hears("times in a row; the next look is in");
  EXPECT_GE(overwritten, 4);
  EXPECT_LE(overwritten, 10) << "it is slowed down";
  EXPECT_TRUE(Becomes([&] { return HasEntry(); })) << "and does not give up";
}

// ---- killed between two steps ----

#ifdef PTRACE_GET_SYSCALL_INFO
bool ChangesFiles(std::uint64_t number) {
  switch (number) {
#ifdef SYS_rename
    case SYS_rename:
#endif
#ifdef SYS_unlink
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_mkdir:
    case SYS_open:
    case SYS_chmod:
#endif
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_openat:
    case SYS_write:
    case SYS_fchmod:
    case SYS_fchown:
    case SYS_fsync:
    case SYS_flock:
      return true;
    default:
      return false;
  }
}

// Runs the program and kills it before the `step`th system call that may change a file. False: it has no more, and
// ended by itself.
bool RunUntil(int step, const Words& arguments) {
  Words words{test::PluginPath()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(argv.front(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  while (ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr) == 0 && waitpid(pid, &status, 0) == pid) {
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
      return false;
    }
    __ptrace_syscall_info info{};
    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !ChangesFiles(info.entry.nr) || --step > 0) continue;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return true;
  }
  return false;
}

class InstallerKilled : public Installer {
 protected:
  // Kills `verb` at each of its steps, from the state that `prepare` makes: the directory is valid each time, and doing
  // it again ends as it does undisturbed.
  void KillAtEachStep(const std::function<void()>& prepare, const std::string& verb, const Words& more = {}) {
    const auto begin = [&] {
      fs::remove_all(conf());
      fs::remove_all(bin());
      SetUp();
      prepare();
    };
    begin();
    Do(verb, more);
    const auto wanted = Everything();
    int steps = 0;
    for (bool more_steps = true; more_steps; ++steps) {
      ASSERT_LT(steps, 1000);
      begin();
      more_steps = RunUntil(steps + 1, Arguments(verb, more));
      const auto network = LoadNetwork(conf(), bin());
      ASSERT_EQ(network.error, "") << network.file << " after " << steps << " steps";
      ASSERT_THAT(network.plugins, ::testing::Contains("flannel"));
      Do(verb, more);
      Do("install", more);  // and what a killed one left behind hinders nobody
      Do(verb, more);
      auto is = Everything();
      std::erase_if(is, [](const auto& file) { return file.first.find("/.sluice-cni.") != std::string::npos; });
      ASSERT_EQ(is, wanted) << "after " << steps << " steps";
    }
    EXPECT_GT(steps, 5);
    printf("%s: killed at each of %d steps\n", verb.c_str(), steps - 1);
  }

  std::string FlannelConf() const {
    return R"({"cniVersion":"0.3.1","name":"cbr0","type":"flannel","delegate":{"isDefaultGateway":true}})";
  }
};

TEST_F(InstallerKilled, InAList) {
  KillAtEachStep([&] { Write("10-flannel.conflist", test::kFlannelList); }, "install");
  KillAtEachStep(
      [&] {
        Write("10-flannel.conflist", test::kFlannelList);
        Do("install");
      },
      "uninstall");
}

TEST_F(InstallerKilled, InASingleConfiguration) {
  for (const char* name : {"10-flannel.conf", "10-flannel.json"}) {
    KillAtEachStep([&] { Write(name, FlannelConf()); }, "install");
    KillAtEachStep(
        [&] {
          Write(name, FlannelConf());
          Do("install");
        },
        "uninstall");
  }
}

TEST_F(InstallerKilled, InADropIn) {
  KillAtEachStep([&] { Write("10-flannel.conflist", test::kFlannelList); }, "install", {"--drop-in"});
  KillAtEachStep(
      [&] {
        Write("10-flannel.conflist", test::kFlannelList);
        Do("install");
      },
      "install", {"--drop-in"});
  KillAtEachStep(
      [&] {
        Write("10-flannel.conflist", test::kFlannelList);
        Do("install", {"--drop-in"});
      },
      "uninstall");
}
#endif

}  // namespace
}  // namespace sluice
