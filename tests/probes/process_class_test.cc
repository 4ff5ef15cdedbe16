// The facts that policy can see about real processes: programs, scripts and ancestors, and the patterns that match
// them.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "policy/network/glob.h"
#include "tests/probes/class_test.h"

namespace sluice::test {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

TEST_P(ProcessClassTest, ProgramAndTheProgramThatForkedIt) {
  const Facts facts = AfterExec(Sleep(), {"sleep", "60"});
  EXPECT_EQ(facts.program, Sleep());
  EXPECT_EQ(facts.script, "");
  EXPECT_THAT(facts.ancestors, Contains(Self()));
  EXPECT_THAT(facts.ancestors, Not(Contains(Sleep())));
}

TEST_P(ProcessClassTest, AForkedChildHasItsOwnProgramAmongItsAncestors) {
  Gate gate;
  const pid_t child = Fork([&] { gate.Wait(); });
  const Facts facts = Of(child);
  EXPECT_EQ(facts.program, Self());
  EXPECT_THAT(facts.ancestors, Contains(Self()));
  gate.Open();
  Reap(child);
}

TEST_P(ProcessClassTest, EarlierProgramsOfTheProcessAreAncestors) {
  const TempDir dir;
  const std::string first = dir.Copy(Shell(), "first"), second = dir.Copy(Shell(), "second");
  const pid_t child = Spawn(first, {"first", "-c", "exec " + second + " -c 'exec " + Sleep() + " 60'"});
  for (int instances = 0; instances < 3; ++instances) ASSERT_TRUE(fixture().WaitForExec(child).ok());
  const Facts facts = Of(child);
  EXPECT_EQ(facts.program, Sleep());
  EXPECT_THAT(facts.ancestors, IsSupersetOf({first, second}));
  kill(child, SIGKILL);
  Reap(child);
}

TEST_P(ProcessClassTest, AncestorsThatHaveEndedCount) {
  const TempDir dir;
  const std::string shell = dir.Copy(Shell(), "gone-shell");
  const std::string pidfile = dir.path() + "/pid";
  const pid_t parent = Spawn(shell, {"gone-shell", "-c", Sleep() + " 60 & echo $! > " + pidfile});
  Reap(parent);
  std::ifstream in(pidfile);
  pid_t orphan = 0;
  in >> orphan;
  ASSERT_GT(orphan, 0);
  ASSERT_TRUE(fixture().WaitForExec(orphan).ok());
  const Facts facts = Of(orphan);
  EXPECT_EQ(facts.program, Sleep());
  EXPECT_THAT(facts.ancestors, Contains(shell));
  kill(orphan, SIGKILL);
}

TEST_P(ProcessClassTest, ScriptsByTheNameThatTheyWereCalledBy) {
  const TempDir dir;
  const std::string waits = dir.Write("wait", "#!/bin/sh\nread line < " + dir.path() + "/never\n", 0755);
  ASSERT_EQ(mkfifo((dir.path() + "/never").c_str(), 0600), 0);
  const Facts absolute = AfterExec(waits, {"wait"});
  EXPECT_EQ(absolute.program, Shell());
  EXPECT_EQ(absolute.script, waits);
  const Facts relative = AfterExec("./wait", {"wait"}, [&] { (void)!chdir(dir.path().c_str()); });
  EXPECT_EQ(relative.script, waits);
  std::filesystem::create_directory(dir.path() + "/sub");
  const Facts below = AfterExec("sub/../wait", {"wait"}, [&] { (void)!chdir(dir.path().c_str()); });
  EXPECT_EQ(below.program, Shell());
  EXPECT_EQ(below.script, "") << "a name that leads through .. may pass for another";
}

// "#!/usr/bin/env python3": the kernel runs env, which executes the interpreter.
TEST_P(ProcessClassTest, AScriptThatEnvRunsHasItsName) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir.path() + "/never").c_str(), 0600), 0);
  const std::string env = dir.Copy("/usr/bin/env", "env"), shell = dir.Copy(Shell(), "shell");
  const std::string waits =
      dir.Write("wait", "#!" + env + " " + shell + "\nread line < " + dir.path() + "/never\n", 0755);
  SetPatterns({waits, env, shell});
  const pid_t child = Spawn(waits, {"wait"});
  ASSERT_TRUE(fixture().WaitForExec(child).ok()) << "env";
  const auto exec = fixture().WaitForExec(child);
  ASSERT_TRUE(exec.ok()) << exec.status();
  const Facts facts = Of(child);
  EXPECT_EQ(facts.program, shell);
  EXPECT_EQ(facts.script, waits);
  EXPECT_EQ(facts.binaries, 0b101U) << "the script and the shell, but not env";
  EXPECT_EQ(exec->process().script(), waits) << "in records, too";
  EXPECT_EQ(exec->process().binary(), shell);
  kill(child, SIGKILL);
  Reap(child);
}

TEST_P(ProcessClassTest, WhatTheScriptOfEnvExecutesIsNotTheScript) {
  const TempDir dir;
  const std::string job = dir.Write("job", "#!/usr/bin/env sh\nexec " + Sleep() + " 60\n", 0755);
  const pid_t child = Spawn(job, {"job"});
  for (int instances = 0; instances < 3; ++instances) ASSERT_TRUE(fixture().WaitForExec(child).ok());
  const Facts facts = Of(child);
  EXPECT_EQ(facts.program, Sleep());
  EXPECT_EQ(facts.script, "");
  EXPECT_THAT(facts.ancestors, IsSupersetOf({job, Shell()}));
  // A program that env runs without a script has none.
  EXPECT_EQ(AfterExec("/usr/bin/env", {"env", Sleep(), "60"}).script, "");
  kill(child, SIGKILL);
  Reap(child);
}

TEST_P(ProcessClassTest, TheScriptIsAnAncestorOfWhatItRuns) {
  const TempDir dir;
  const std::string script = dir.Write("job", "#!/bin/sh\n" + Sleep() + " 60 &\necho $! > pid\n", 0755);
  const pid_t job = Fork([&] {
    if (chdir(dir.path().c_str()) == 0) Exec(script, {"job"});
  });
  Reap(job);
  std::ifstream in(dir.path() + "/pid");
  pid_t sleeper = 0;
  in >> sleeper;
  ASSERT_GT(sleeper, 0);
  ASSERT_TRUE(fixture().WaitForExec(sleeper).ok());
  EXPECT_THAT(Of(sleeper).ancestors, IsSupersetOf({script, Shell()}));
  kill(sleeper, SIGKILL);
}

TEST_P(ProcessClassTest, AChrootMakesNoProgramAnother) {
  const TempDir dir;
  const std::string root = dir.path() + "/root";
  std::filesystem::create_directory(root);
  const Facts facts = AfterExec(Sleep(), {"sleep", "60"}, [&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("/", root.c_str(), nullptr, MS_BIND, nullptr) != 0 || chroot(root.c_str()) != 0)
      _exit(1);
  });
  EXPECT_EQ(facts.program, root + Sleep());
}

TEST_P(ProcessClassTest, APathThatIsTooLongIsNotKnown) {
  const TempDir dir;
  std::string deep = dir.path();
  while (deep.size() < 500) deep += "/" + std::string(100, 'd');
  std::filesystem::create_directories(deep);
  std::filesystem::copy_file(Sleep(), deep + "/sleep");
  const Facts facts = AfterExec(deep + "/sleep", {"sleep", "60"});
  EXPECT_EQ(facts.program, "");
}

TEST_P(ProcessClassTest, ClassesAreSharedByProcessesThatAreAlike) {
  const pid_t a = Spawn(Sleep(), {"sleep", "60"}), b = Spawn(Sleep(), {"sleep", "61"});
  ASSERT_TRUE(fixture().WaitForExec(a).ok());
  ASSERT_TRUE(fixture().WaitForExec(b).ok());
  EXPECT_EQ((*processes_.Get(a))->process_class, (*processes_.Get(b))->process_class);
  for (const pid_t pid : {a, b}) {
    kill(pid, SIGKILL);
    Reap(pid);
  }
}

// The agent may be removing it: the key goes first, but the sensors may already have looked it up.
TEST_P(ProcessClassTest, AClassThatIsGoneIsNotGiven) {
  const auto class_of_one_more = [&] {
    const pid_t child = Spawn(Sleep(), {"sleep", "60"});
    EXPECT_TRUE(fixture().WaitForExec(child).ok());
    const sl_process_class_number number = (*processes_.Get(child))->process_class;
    kill(child, SIGKILL);
    Reap(child);
    return number;
  };
  const sl_process_class_number known = class_of_one_more();
  ASSERT_NE(known, 0U);
  const auto forgotten = classes_.Get(known);
  ASSERT_TRUE(forgotten.ok() && *forgotten);
  ASSERT_TRUE(classes_.Delete(known).ok());
  EXPECT_EQ(class_of_one_more(), 0U);
  ASSERT_TRUE(numbers_.Delete((*forgotten)->facts).ok());
  EXPECT_NE(class_of_one_more(), 0U) << "made anew";
}

// The sensors cache the class that a program led to.
TEST_P(ProcessClassTest, AClassThatTheAgentRemovedIsMadeAnew) {
  AfterExec(Sleep(), {"sleep", "60"});
  const pid_t before = Spawn(Sleep(), {"sleep", "60"});
  ASSERT_TRUE(fixture().WaitForExec(before).ok());
  const sl_process_class_number removed = (*processes_.Get(before))->process_class;
  const auto known = classes_.Get(removed);
  ASSERT_TRUE(known.ok() && *known);
  ASSERT_TRUE(numbers_.Delete((*known)->facts).ok());
  ASSERT_TRUE(classes_.Delete(removed).ok());
  const pid_t after = Spawn(Sleep(), {"sleep", "60"});
  ASSERT_TRUE(fixture().WaitForExec(after).ok());
  EXPECT_NE((*processes_.Get(after))->process_class, removed);
  EXPECT_EQ(Of(after).program, Sleep());
  for (const pid_t pid : {before, after}) {
    kill(pid, SIGKILL);
    Reap(pid);
  }
}

// The kernel's matching against the specification, on paths of real files.
TEST_P(ProcessClassTest, PatternsMatchAsTheSpecificationSays) {
  const TempDir dir;
  std::mt19937 engine(20261124);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(engine() % n); };
  const auto word = [&](const char* letters, std::uint32_t longest) {
    std::string text;
    for (std::uint32_t i = 1 + below(longest); i > 0; --i)
      text += letters[below(static_cast<std::uint32_t>(strlen(letters)))];
    return text;
  };
  std::uint64_t matched = 0, compared = 0;
  for (int round = 0; round < 6; ++round) {
    std::vector<std::string> patterns;
    for (int i = 0; i < SL_MAX_PROGRAM_PATTERNS; ++i) {
      std::string pattern = below(3) == 0 ? "**" : dir.path();
      for (std::uint32_t part = 1 + below(3); part > 0; --part) {
        static constexpr const char* kWild[] = {"*", "**", "?", "/", "/*", "/**/", "*b", "a*", "?b", "**a"};
        pattern += below(3) == 0 ? "/" + word("ab", 3) : kWild[below(std::size(kWild))];
      }
      patterns.push_back(pattern);
    }
    SetPatterns(patterns);
    for (int i = 0; i < 8; ++i) {
      std::string path = dir.path() + fmt::format("/{}", round);
      for (std::uint32_t part = below(3); part > 0; --part) path += "/" + word("ab", 3);
      std::filesystem::create_directories(path);
      path += "/" + word("ab", 4) + "x";
      if (std::filesystem::exists(path)) continue;
      std::filesystem::copy_file(Sleep(), path);
      const Facts facts = AfterExec(path, {"sleep", "60"});
      ASSERT_EQ(facts.program, path);
      for (std::size_t bit = 0; bit < patterns.size(); ++bit) {
        const bool expected = policy::GlobMatches(patterns[bit], path);
        ASSERT_EQ((facts.binaries >> bit & 1) != 0, expected) << patterns[bit] << " against " << path;
        matched += expected;
        ++compared;
      }
    }
  }
  EXPECT_GT(matched, compared / 50);
  EXPECT_LT(matched, compared);
}

// /bin/sleep is a link on a merged /usr: the kernel reports the program by another path.
TEST_P(ProcessClassTest, PatternsOfMergedDirectoriesMatchBelowUsr) {
  const std::string path = Sleep(), name = path.substr(path.rfind('/') + 1);
  ASSERT_TRUE(path == "/bin/" + name || path == "/usr/bin/" + name);
  const std::vector<std::string> patterns = {"/bin/" + name,       "/bin/*",   "/sbin/" + name, "/lib/" + name,
                                             "/bin/" + name + "x", "/bin",     "/bin/s**p",     "/usr/bin/" + name,
                                             "/binx/" + name,      "/lib64/**"};
  // As if nothing had run it yet, because known programs were matched by other patterns.
  const pid_t known = Spawn("/bin/sleep", {"sleep", "60"});
  ASSERT_TRUE(fixture().WaitForExec(known).ok());
  const sl_process_class_number number = (*processes_.Get(known))->process_class;
  const auto of = classes_.Get(number);
  ASSERT_TRUE(of.ok() && *of);
  ASSERT_TRUE(numbers_.Delete((*of)->facts).ok() && classes_.Delete(number).ok());
  sl_program_path key{};
  path.copy(key.text, sizeof(key.text));
  ASSERT_TRUE(programs_.Delete(key).ok());
  kill(known, SIGKILL);
  Reap(known);
  SetPatterns(patterns);
  const Facts facts = AfterExec("/bin/sleep", {"sleep", "60"});
  EXPECT_NE(facts.binaries & 1, 0U);
  for (std::size_t bit = 0; bit < patterns.size(); ++bit)
    EXPECT_EQ((facts.binaries >> bit & 1) != 0, policy::GlobMatches(patterns[bit], path)) << patterns[bit];
}

TEST_P(ProcessClassTest, AncestorsMatchPatternsToo) {
  const TempDir dir;
  const std::string shell = dir.Copy(Shell(), "sh-of-this-test");
  SetPatterns({dir.path() + "/*", Sleep()});
  const pid_t parent = Spawn(shell, {"sh", "-c", Sleep() + " 60 & echo $! > " + dir.path() + "/pid"});
  Reap(parent);
  std::ifstream in(dir.path() + "/pid");
  pid_t child = 0;
  in >> child;
  ASSERT_TRUE(fixture().WaitForExec(child).ok());
  EXPECT_EQ(Of(child).by_ancestor & 1, 1U);
  kill(child, SIGKILL);
}

SL_FOR_EACH_BACK_END(ProcessClassTest);

}  // namespace
}  // namespace sluice::test
