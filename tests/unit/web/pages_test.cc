#include "ctrl/web/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <regex>
#include <string>

namespace sluice::web {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kMostBytes = 300'000;  // of all files, gzipped
constexpr const char* kFiles[] = {"/", "/app.js", "/app.css", "/icon.svg"};

std::string Gunzip(std::string_view bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  EXPECT_EQ(inflateInit2(&stream, kGzip), Z_OK);
  std::string out(4U << 20U, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

class WebPages : public ::testing::Test {
 protected:
  void SetUp() override {
    if (FindPage("/") == nullptr) GTEST_SKIP() << "built without the page: no esbuild";
  }
};

TEST_F(WebPages, AreSmall) {
  std::size_t bytes = 0;
  for (const char* const path : kFiles) {
    const PageFile* const file = FindPage(path);
    ASSERT_NE(file, nullptr) << path;
    EXPECT_FALSE(file->plain.empty()) << path;
    EXPECT_EQ(Gunzip(file->gzipped), file->plain) << path;
    bytes += file->gzipped.size();
  }
  EXPECT_LT(bytes, kMostBytes);
  RecordProperty("gzipped_bytes", std::to_string(bytes));
  EXPECT_EQ(FindPage("/index.html"), nullptr);
  EXPECT_EQ(FindPage("/../app.js"), nullptr);
}

// Nothing comes from elsewhere, and nothing needs an exception from the policy that forbids inline scripts and styles.
TEST_F(WebPages, NeedNobodyElse) {
  const std::regex url(R"((https?:)?//[A-Za-z0-9.-]+\.[a-z]{2,})");
  for (const char* const path : kFiles) {
    std::string text(FindPage(path)->plain);
    text = std::regex_replace(text, std::regex("http://www\\.w3\\.org/2000/svg"), "");
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, url)) << path << " names " << found.str();
    EXPECT_THAT(text, Not(HasSubstr("innerHTML"))) << path;
    EXPECT_THAT(text, Not(HasSubstr("eval("))) << path;
  }
  const std::string html(FindPage("/")->plain);
  EXPECT_THAT(html, Not(HasSubstr(" style=")));
  EXPECT_THAT(html, Not(HasSubstr("<style")));
  EXPECT_FALSE(std::regex_search(html, std::regex("<script(?! src)")));
  EXPECT_FALSE(std::regex_search(html, std::regex(" on[a-z]+=")));
}

}  // namespace
}  // namespace sluice::web
