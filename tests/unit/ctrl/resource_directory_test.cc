#include "ctrl/resources/resource_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "policy/resource/parser.h"

namespace sluice::resources {
namespace {

namespace fs = std::filesystem;
using policy::Kind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string NamespaceYaml(const std::string& name) {
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n";
}

class ResourceDirectoryTest : public ::testing::Test {
 protected:
  ResourceDirectoryTest() {
    std::string name = ::testing::TempDir() + "sluice-resources-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  ~ResourceDirectoryTest() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(Path(name)) << text; }
  // File names in the order in which they are read.
  std::vector<std::string> Names() const {
    const auto files = ReadResourceFiles(dir_);
    EXPECT_TRUE(files.ok()) << files.status();
    std::vector<std::string> names;
    for (const ResourceFile& file : *files) names.push_back(file.path.substr(dir_.size() + 1));
    return names;
  }

  std::string dir_;
};

TEST_F(ResourceDirectoryTest, FilesComeByName) {
  for (const char* const name : {"b.yaml", "a.yml", "c.json", "B.yaml", "10.yaml", "9.yaml"})
    Write(name, "# nothing\n");
  EXPECT_THAT(Names(), ElementsAre("10.yaml", "9.yaml", "B.yaml", "a.yml", "b.yaml", "c.json"));
}

TEST_F(ResourceDirectoryTest, HiddenOtherAndDeeperFilesAreLeftOut) {
  for (const char* const name : {".a.yaml", ".yaml", "a.yaml~", "a.yaml.swp", "README", "a.txt", "a.YAML"})
    Write(name, "junk: [");
  fs::create_directory(Path("dir.yaml"));
  ASSERT_EQ(mkfifo(Path("pipe.yaml").c_str(), 0600), 0);
  fs::create_directory(Path("deeper"));
  Write("deeper/a.yaml", "junk: [");
  Write("a.yaml", "");
  EXPECT_THAT(Names(), ElementsAre("a.yaml"));
}

TEST_F(ResourceDirectoryTest, LinksAreFollowed) {  // like a mounted Kubernetes ConfigMap
  fs::create_directory(Path("..data"));
  Write("..data/a.yaml", NamespaceYaml("shop"));
  fs::create_symlink("..data/a.yaml", Path("a.yaml"));
  const auto files = ReadResourceFiles(dir_);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().text, NamespaceYaml("shop"));
}

TEST_F(ResourceDirectoryTest, LinkToNowhereIsNamed) {
  fs::create_symlink("nowhere", Path("a.yaml"));
  EXPECT_THAT(Message(ReadResourceFiles(dir_).status()), HasSubstr(Path("a.yaml")));
}

TEST_F(ResourceDirectoryTest, OneFileIsReadWhateverItsName) {
  Write(".hidden.txt", NamespaceYaml("shop"));
  const auto files = ReadResourceFiles(Path(".hidden.txt"));
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().path, Path(".hidden.txt"));
  EXPECT_EQ(files->front().text, NamespaceYaml("shop"));
}

TEST_F(ResourceDirectoryTest, ResourcesOfAllFiles) {
  Write("a.yaml", NamespaceYaml("shop") + "---\n" + NamespaceYaml("bank"));
  Write("b.json", R"({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})");
  const auto resources = ReadResourceDirectory(dir_);
  ASSERT_TRUE(resources.ok()) << resources.status();
  std::vector<std::string> names;
  for (const auto& [id, resource] : *resources) names.push_back(id.ToString());
  EXPECT_THAT(names, ElementsAre("Namespace bank", "Namespace lab", "Namespace shop"));
}

TEST_F(ResourceDirectoryTest, EmptyDirectoryIsNoResources) {
  const auto resources = ReadResourceDirectory(dir_);
  ASSERT_TRUE(resources.ok()) << resources.status();
  EXPECT_THAT(*resources, IsEmpty());
}

TEST_F(ResourceDirectoryTest, OneIdInTwoFilesNamesBoth) {
  Write("a.yaml", NamespaceYaml("shop"));
  Write("b.yaml", NamespaceYaml("lab") + "---\n" + NamespaceYaml("shop"));
  EXPECT_THAT(Message(ReadResourceDirectory(dir_).status()),
              AllOf(HasSubstr(Path("a.yaml")), HasSubstr(Path("b.yaml")), HasSubstr("Namespace shop")));
}

TEST_F(ResourceDirectoryTest, OneIdTwiceInOneFile) {
  Write("a.yaml", NamespaceYaml("shop") + "---\n" + NamespaceYaml("shop"));
  EXPECT_THAT(Message(ReadResourceDirectory(dir_).status()),
              AllOf(HasSubstr(Path("a.yaml")), HasSubstr("Namespace shop")));
}

TEST_F(ResourceDirectoryTest, FirstErrorNamesFileAndLine) {
  Write("a.yaml", NamespaceYaml("shop"));
  Write("b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  nam: x\n");
  Write("c.yaml", "apiVersion: v1\nkind: Nonsense\n");
  EXPECT_THAT(Message(ReadResourceDirectory(dir_).status()), HasSubstr(Path("b.yaml") + ":4"));
}

TEST_F(ResourceDirectoryTest, MissingDirectoryIsNamed) {
  EXPECT_THAT(Message(ReadResourceDirectory(Path("nowhere")).status()), HasSubstr(Path("nowhere")));
}

// A sparse file: large, but without data on the disk. Reading it would take far longer than refusing it.
TEST_F(ResourceDirectoryTest, FileThatIsTooLargeIsRefusedUnread) {
  Write("a.yaml", "");
  fs::resize_file(Path("a.yaml"), std::uintmax_t{1} << 40U);
  const Status status = ReadResourceFiles(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), AllOf(HasSubstr(Path("a.yaml")), HasSubstr(std::to_string(policy::kMaxResourceBytes))));
}

TEST_F(ResourceDirectoryTest, BoundItselfIsFine) {
  Write("a.yaml", "");
  fs::resize_file(Path("a.yaml"), policy::kMaxResourceBytes);
  const auto files = ReadResourceFiles(dir_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->front().text.size(), policy::kMaxResourceBytes);
  fs::resize_file(Path("a.yaml"), policy::kMaxResourceBytes + 1);
  EXPECT_FALSE(ReadResourceFiles(dir_).ok());
}

// A pipe does not announce its size.
class PipeTest : public ResourceDirectoryTest {
 protected:
  PipeTest() {
    EXPECT_EQ(pipe(ends_), 0);
    path_ = fmt::format("/dev/fd/{}", ends_[0]);
  }
  ~PipeTest() override {
    if (writer_.joinable()) writer_.join();
    close(ends_[0]);
  }
  // Writes until everything is written or the reader has closed.
  void Write(std::size_t bytes) {
    writer_ = std::thread([this, bytes] {
      sigset_t pipe_signal;
      sigemptyset(&pipe_signal);
      sigaddset(&pipe_signal, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
      const std::string block(65536, '#');
      while (written_ < bytes) {
        const ssize_t wrote = write(ends_[1], block.data(), std::min(block.size(), bytes - written_));
        if (wrote < 0) break;
        written_ += static_cast<std::size_t>(wrote);
      }
      close(ends_[1]);
    });
  }

  int ends_[2] = {-1, -1};
  std::string path_;
  std::atomic<std::size_t> written_ = 0;
  std::thread writer_;
};

TEST_F(PipeTest, IsReadToItsEnd) {
  Write(1'000'000);
  const auto files = ReadResourceFiles(path_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->front().text, std::string(1'000'000, '#'));
}

TEST_F(PipeTest, ThatGivesTooMuchIsRefusedSoon) {
  Write(policy::kMaxResourceBytes * 8);
  EXPECT_THAT(Message(ReadResourceFiles(path_).status()), HasSubstr("larger than"));
  EXPECT_LE(written_, policy::kMaxResourceBytes + 1024U * 1024) << "no more is read than is needed to know";
  close(ends_[0]);
  ends_[0] = open("/dev/null", O_RDONLY);  // ends the writer
}

}  // namespace
}  // namespace sluice::resources
