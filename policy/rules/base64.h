// Base64 as texts of events have it: with or without "=" at the end. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::policy::rules {

// Appends the bytes to `out`. False: `text` is not base64.
bool DecodeBase64(std::string_view text, std::string& out);

}  // namespace sluice::policy::rules
