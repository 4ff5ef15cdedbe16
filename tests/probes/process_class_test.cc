// What policy can tell of real processes: their programs, scripts and ancestors, and what patterns these match.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "policy/glob.h"
#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

std::string Sleep() { return std::filesystem::canonical("/bin/sleep"); }
std::string Shell() { return std::filesystem::canonical("/bin/sh"); }
std::string Self() { return std::filesystem::canonical("/proc/self/exe"); }

struct Facts {
  std::string program;  // empty: not known
  std::string script;
  std::vector<std::string> ancestors;
  bool more_ancestors = false;
  std::uint64_t binaries = 0;  // patterns of slot 0
  std::uint64_t by_ancestor = 0;
};

class ProcessClassTest : public SensorTest {
 protected:
  void SetUp() override {
    SensorTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bind = [&](auto& map, const char* name) {
      auto bound = std::remove_reference_t<decltype(map)>::Bind(bed().sensor().map_fd(name), name);
      ASSERT_TRUE(bound.ok()) << bound.status();
      map = *bound;
    };
    bind(patterns_, "program_patterns");
    bind(programs_, "programs");
    bind(classes_, "process_classes");
    bind(numbers_, "process_class_numbers");
    bind(processes_, "processes");
    SetPatterns({});
  }

  void SetPatterns(const std::vector<std::string>& patterns, std::uint32_t slot = 0) {
    for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
      sl_program_pattern pattern{};
      if (bit < patterns.size()) {
        pattern.length = static_cast<std::uint32_t>(patterns[bit].size());
        patterns[bit].copy(pattern.text, sizeof(pattern.text));
      }
      ASSERT_TRUE(patterns_.Put(slot * SL_MAX_PROGRAM_PATTERNS + bit, pattern).ok());
    }
  }

  // Of a process that lives.
  Facts Of(pid_t pid) {
    std::map<std::uint32_t, std::string> names;
    EXPECT_TRUE(programs_
                    .ForEachBatch([&](const sl_program_path& path, const sl_program& program) {
                      names[program.number] = path.text;
                    })
                    .ok());
    const auto process = processes_.Get(static_cast<std::uint32_t>(pid));
    EXPECT_TRUE(process.ok() && *process) << pid;
    if (!process.ok() || !*process) return {};
    const auto one = classes_.Get((*process)->process_class);
    EXPECT_TRUE(one.ok() && *one) << "class " << (*process)->process_class;
    if (!one.ok() || !*one) return {};
    Facts facts;
    facts.program = names[(*one)->facts.program];
    facts.script = names[(*one)->facts.script];
    for (const std::uint32_t ancestor : (*one)->facts.ancestors)
      if (ancestor != 0) facts.ancestors.push_back(names[ancestor]);
    facts.more_ancestors = ((*one)->facts.flags & SL_CLASS_MORE_ANCESTORS) != 0;
    facts.binaries = (*one)->binaries[0];
    facts.by_ancestor = (*one)->ancestors[0];
    return facts;
  }

  // Of a child that executes `file`, which must not end by itself.
  Facts AfterExec(
      const std::string& file, const std::vector<std::string>& arguments, const std::function<void()>& before = [] {}) {
    const pid_t child = Fork([&] {
      before();
      Exec(file, arguments);
    });
    const auto exec = bed().WaitForExec(child);
    EXPECT_TRUE(exec.ok()) << exec.status();
    const Facts facts = Of(child);
    kill(child, SIGKILL);
    Reap(child);
    return facts;
  }

  bpf::Map<std::uint32_t, sl_program_pattern> patterns_;
  bpf::Map<sl_program_path, sl_program> programs_;
  bpf::Map<sl_process_class_number, sl_process_class> classes_;
  bpf::Map<sl_process_facts, sl_process_class_number> numbers_;
  bpf::Map<std::uint32_t, sl_process> processes_;
};

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
  for (int lives = 0; lives < 3; ++lives) ASSERT_TRUE(bed().WaitForExec(child).ok());
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
  ASSERT_TRUE(bed().WaitForExec(orphan).ok());
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
  ASSERT_TRUE(bed().WaitForExec(sleeper).ok());
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
  ASSERT_TRUE(bed().WaitForExec(a).ok());
  ASSERT_TRUE(bed().WaitForExec(b).ok());
  EXPECT_EQ((*processes_.Get(a))->process_class, (*processes_.Get(b))->process_class);
  for (const pid_t pid : {a, b}) {
    kill(pid, SIGKILL);
    Reap(pid);
  }
}

// The agent may be about to forget it: the key goes first, but somebody may have looked it up already.
TEST_P(ProcessClassTest, AClassThatIsGoneIsNotGiven) {
  const auto class_of_one_more = [&] {
    const pid_t child = Spawn(Sleep(), {"sleep", "60"});
    EXPECT_TRUE(bed().WaitForExec(child).ok());
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

// The sensors remember what class a program led to.
TEST_P(ProcessClassTest, AClassThatTheAgentRemovedIsMadeAnew) {
  AfterExec(Sleep(), {"sleep", "60"});
  const pid_t before = Spawn(Sleep(), {"sleep", "60"});
  ASSERT_TRUE(bed().WaitForExec(before).ok());
  const sl_process_class_number removed = (*processes_.Get(before))->process_class;
  const auto known = classes_.Get(removed);
  ASSERT_TRUE(known.ok() && *known);
  ASSERT_TRUE(numbers_.Delete((*known)->facts).ok());
  ASSERT_TRUE(classes_.Delete(removed).ok());
  const pid_t after = Spawn(Sleep(), {"sleep", "60"});
  ASSERT_TRUE(bed().WaitForExec(after).ok());
  EXPECT_NE((*processes_.Get(after))->process_class, removed);
  EXPECT_EQ(Of(after).program, Sleep());
  for (const pid_t pid : {before, after}) {
    kill(pid, SIGKILL);
    Reap(pid);
  }
}

// The kernel's matching against the specification, on paths that real files have.
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

TEST_P(ProcessClassTest, AncestorsMatchPatternsToo) {
  const TempDir dir;
  const std::string shell = dir.Copy(Shell(), "sh-of-this-test");
  SetPatterns({dir.path() + "/*", Sleep()});
  const pid_t parent = Spawn(shell, {"sh", "-c", Sleep() + " 60 & echo $! > " + dir.path() + "/pid"});
  Reap(parent);
  std::ifstream in(dir.path() + "/pid");
  pid_t child = 0;
  in >> child;
  ASSERT_TRUE(bed().WaitForExec(child).ok());
  EXPECT_EQ(Of(child).by_ancestor & 1, 1U);
  kill(child, SIGKILL);
}

SL_FOR_EACH_BACK_END(ProcessClassTest);

}  // namespace
}  // namespace sluice::test
