// System calls that change files or their names without opening them are under the rules of files, for writing.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "tests/lsm/lsm_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

struct FileCall {
  std::string name;  // of the operation in records
  std::function<int(const std::string& path)> act;
  bool on_directory = false;
  bool is_new = false;  // the path is not there before
};

const std::vector<FileCall>& FileCalls() {
  static const std::vector<FileCall> calls = {
      {"unlink", [](const std::string& path) { return ErrorOf(unlink(path.c_str())); }},
      {"rename", [](const std::string& path) { return ErrorOf(rename(path.c_str(), (path + ".new").c_str())); }},
      {"link", [](const std::string& path) { return ErrorOf(link(path.c_str(), (path + ".new").c_str())); }},
      {"truncate", [](const std::string& path) { return ErrorOf(truncate(path.c_str(), 0)); }},
      {"chmod", [](const std::string& path) { return ErrorOf(chmod(path.c_str(), 0600)); }},
      {"chown", [](const std::string& path) { return ErrorOf(chown(path.c_str(), 1, 1)); }},
      {"rmdir", [](const std::string& path) { return ErrorOf(rmdir(path.c_str())); }, true},
      {"mkdir", [](const std::string& path) { return ErrorOf(mkdir(path.c_str(), 0755)); }, true, true},
      {"create", [](const std::string& path) { return ErrorOf(mknod(path.c_str(), S_IFIFO | 0644, 0)); }, false, true},
      {"symlink", [](const std::string& path) { return ErrorOf(symlink("/", path.c_str())); }, false, true},
  };
  return calls;
}

class LsmFileCall : public LsmTest, public testing::WithParamInterface<FileCall> {
 protected:
  void Prepare(const std::string& name) const {
    fs::remove_all(Path(name));
    fs::remove_all(Path(name) + ".new");
    if (GetParam().is_new) return;
    if (GetParam().on_directory)
      fs::create_directory(Path(name));
    else
      directory().Write(name, "text\n", 0644);
  }
  std::string Reported(const std::string& action) const {
    return fmt::format("{} {} spec.file.matchPaths[0] {}{}", GetParam().name, action, Path("hit"),
                       GetParam().on_directory ? "/" : "");
  }
};

TEST_P(LsmFileCall, IsUnderTheRulesOfFiles) {
  const auto act = [&](const std::string& name) {
    Prepare(name);
    return Run([&] { return GetParam().act(Path(name)); });
  };
  ASSERT_EQ(act("hit"), 0) << "no policy yet";
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: " + Path("hit") + "}]}}"}).ok());
  EXPECT_EQ(act("hit"), EPERM);
  EXPECT_EQ(Seen(), Reported("Block"));
  EXPECT_EQ(act("twin"), 0);
  EXPECT_EQ(Seen(), "");
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: " + Path("hit") + "}]}, action: Audit}"}).ok());
  EXPECT_EQ(act("hit"), 0);
  EXPECT_EQ(Seen(), Reported("Audit"));
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: " + Path("hit") + ", readOnly: true}]}}"}).ok());
  EXPECT_EQ(act("hit"), EPERM) << "readOnly keeps from changing it";
  ASSERT_TRUE(Apply({"{file: {matchDirectories: [{dir: " + directory().path() + "/}]}, action: Allow}"}, kClosed).ok());
  EXPECT_EQ(act("hit"), 0) << Seen();
}

INSTANTIATE_TEST_SUITE_P(All, LsmFileCall, testing::ValuesIn(FileCalls()),
                         [](const auto& info) { return info.param.name; });

class LsmFiles : public LsmTest {
 protected:
  void SetUp() override {
    LsmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    directory().Write("hit", "text\n", 0644);
    directory().Write("twin", "text\n", 0644);
  }
  Status BlockHit() { return Apply({"{file: {matchPaths: [{path: " + Path("hit") + "}]}}"}); }
};

TEST_F(LsmFiles, ACreatedFileIsReportedOnce) {
  ASSERT_TRUE(Apply({"{file: {matchDirectories: [{dir: " + directory().path() + "/}]}, action: Audit}"}).ok());
  EXPECT_EQ(Run([&] { return OpenError(Path("new"), O_CREAT | O_WRONLY); }), 0);
  EXPECT_EQ(Seen(), "open Audit spec.file.matchDirectories[0] " + Path("new"));
  ASSERT_TRUE(Apply({"{file: {matchDirectories: [{dir: " + directory().path() + "/}]}}"}).ok());
  EXPECT_EQ(Run([&] { return OpenError(Path("newer"), O_CREAT | O_WRONLY); }), EPERM);
  EXPECT_FALSE(fs::exists(Path("newer")));
}

TEST_F(LsmFiles, BothNamesOfARenameAndALinkAreJudged) {
  ASSERT_TRUE(BlockHit().ok());
  EXPECT_EQ(Run([&] { return ErrorOf(rename(Path("twin").c_str(), Path("hit").c_str())); }), EPERM);
  EXPECT_EQ(Run([&] { return ErrorOf(link(Path("hit").c_str(), Path("alias").c_str())); }), EPERM);
  EXPECT_EQ(Run([&] { return ErrorOf(rename(Path("twin").c_str(), Path("other").c_str())); }), 0);
}

// By a link in the path, a link to a directory, "..", a relative path, and a descriptor's name.
TEST_F(LsmFiles, NoWayAroundLeadsPastARule) {
  fs::create_directory(Path("dir"));
  directory().Write("dir/hit", "text\n", 0644);
  fs::create_directory_symlink(Path("dir"), Path("dirlink"));
  fs::create_symlink("dir/hit", Path("link"));
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: " + Path("dir/hit") + "}]}}"}).ok());
  for (const char* way : {"dir/hit", "dirlink/hit", "link", "dir/../dirlink/hit", "dir//hit", "dir/./hit"})
    EXPECT_EQ(Run([&] { return OpenError(Path(way)); }), EPERM) << way;
  EXPECT_EQ(Run([&] { return chdir(Path("dir").c_str()) != 0 ? 90 : OpenError("hit"); }), EPERM);
  EXPECT_EQ(Run([&] {
              const int fd = open(Path("dir/hit").c_str(), O_PATH);
              return fd < 0 ? 90 : OpenError(fmt::format("/proc/self/fd/{}", fd));
            }),
            EPERM);
}

// The path is that of the process's own root.
TEST_F(LsmFiles, ARootOfItsOwnHasPathsOfItsOwn) {
  fs::create_directories(Path("root/etc"));
  directory().Write("root/etc/secret", "text\n", 0644);
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: /etc/secret}]}}"}).ok());
  const auto in_root = [&](const char* path) {
    return Run([&] { return chroot(Path("root").c_str()) != 0 || chdir("/") != 0 ? 90 : OpenError(path); });
  };
  EXPECT_EQ(in_root("/etc/secret"), EPERM);
  EXPECT_EQ(in_root("/etc"), 0);
  EXPECT_EQ(Run([&] { return OpenError(Path("root/etc/secret")); }), 0);
}

TEST_F(LsmFiles, ARuleForBinIsForUsrBinToo) {
  ASSERT_TRUE(fs::is_symlink("/bin"));
  ASSERT_TRUE(Apply({"{process: {matchPaths: [{path: /bin/true}]}}"}).ok());
  EXPECT_EQ(Run([] { return ExecError({"/bin/true"}); }), EPERM);
  EXPECT_EQ(Run([] { return ExecError({"/usr/bin/true"}); }), EPERM);
  EXPECT_EQ(Run([] { return ExecError({"/usr/bin/false"}); }), 1) << "which is what false(1) returns";
  EXPECT_EQ(Seen(),
            "execute Block spec.process.matchPaths[0] /usr/bin/true, "
            "execute Block spec.process.matchPaths[0] /usr/bin/true");
}

// Deeper than any path that can be given at once.
TEST_F(LsmFiles, APathThatCannotBeReadWholeIsBlockedByBlockRules) {
  const std::string part(200, 'd');
  const auto open_deep = [&](int depth) {
    return Run([&] {
      if (chdir(directory().path().c_str()) != 0) return 90;
      for (int i = 0; i < depth; ++i) {
        if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return 91;
        if (chdir(part.c_str()) != 0) return 92;
      }
      return OpenError("file", O_CREAT | O_RDWR);
    });
  };
  ASSERT_EQ(open_deep(30), 0) << "no policy yet";
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: /nowhere, action: Audit}]}}"}).ok());
  EXPECT_EQ(open_deep(30), 0) << "nothing can be blocked";
  ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: /nowhere}]}}"}).ok());
  EXPECT_EQ(open_deep(15), 0);
  fixture().Take();
  EXPECT_EQ(open_deep(30), EPERM);
  const auto records = fixture().Take();
  ASSERT_GE(records.size(), 1U);
  EXPECT_EQ(records[0].event.reason, SL_LSM_UNREADABLE);
  EXPECT_TRUE(records[0].event.flags & SL_LSM_EVENT_PATH_TRUNCATED);
  EXPECT_GT(records[0].event.path_length, 3800);
  ASSERT_TRUE(Apply({"{file: {matchDirectories: [{dir: /, recursive: true}]}, action: Allow}"}, kClosed).ok());
  EXPECT_EQ(open_deep(30), EPERM) << "an allow list that blocks does not know it either";
}

}  // namespace
}  // namespace sluice::test
