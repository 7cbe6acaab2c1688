#include <array>

#include "tokenizer/pre_tokenizer.h"

// The expressions are those of the models' own tokenizers, written so that each takes linear time on any
// text: a run of characters is never scanned again from each of its characters.
//   - (\p{N}+) with CutStep::cut = k stands for \p{N}{1,k}.
//   - A step that sets the runs of a class apart matches the runs between them, too; either become words.
namespace llamajit {
namespace {

// GPT-2's.
constexpr CutStep kGpt2Step{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};
constexpr CutStep kSingleDigits{R"((\p{N}+)|\P{N}+)", 1};
constexpr CutStep kThreeAsciiDigits{"((?:[0-9]{3})++)", 3};

constexpr std::array kGpt2{kGpt2Step};
constexpr std::array kDigitsThenGpt2{kSingleDigits, kGpt2Step};
constexpr std::array kFalcon{CutStep{R"([\p{P}$+<=>^~|`]+|[^\p{P}$+<=>^~|`]+)"}, kGpt2Step,
                             kThreeAsciiDigits};
// llama.cpp's for files that name none.
constexpr std::array kDefault{CutStep{R"([\p{P}$+<=>^~|]+|[^\p{P}$+<=>^~|]+)"}, kGpt2Step,
                              CutStep{R"(\p{N}+|\P{N}+)"}, kThreeAsciiDigits};

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array kLlama3{CutStep{kLlama3Pattern, 3}};
constexpr std::array kQwen2{CutStep{kLlama3Pattern, 1}};
constexpr std::array kQwen35{CutStep{
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|(\p{N}+)| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
    1}};
constexpr std::array kSeedCoder{
    CutStep{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}\r\n]+)"
            R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
            1}};
constexpr std::array kUfakzeka{
    CutStep{R"([^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", 1}};
constexpr CutStep kLinesStep{R"([^\n]+|\n+)"};
constexpr std::array kLaguna{kLinesStep, CutStep{kLlama3Pattern, 1}};
constexpr std::array kMiniCpm5{CutStep{R"((\p{N}+)|\P{N}+)", 3}, CutStep{kLlama3Pattern, 3}};
// Words with one space between them are one.
constexpr std::array kExaoneMoe{
    CutStep{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}(?:[\p{L}\p{M}]++| \p{L})*+|(\p{N}+))"
            R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)",
            1}};
// White space is cut into powers of two. Where a part of a run was cut off, there is no new line to come in it.
constexpr std::array kJais2{
    CutStep{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n]*)"
            R"(|(?<![^\S\r\n])\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S))"
            R"(|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)",
            3}};
constexpr std::array kBailing{
    CutStep{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]++[\r\n]*)"
            R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
            1}};

// A word is capitals, then small letters, where the script has them.
constexpr std::array kTekken{
    CutStep{R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
            R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
            R"(|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
            1}};
constexpr std::string_view kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array kGpt4o{CutStep{kGpt4oPattern, 3}};
constexpr std::array kYoutu{
    CutStep{
        R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
        R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F})"
        R"(\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)"},
    CutStep{kGpt4oPattern, 1}};
// Digits are cut as commas would group them, \d{1,3}(?=(?:\d{3})*\b), unless a letter or mark comes right behind.
// llama.cpp cuts those so, too.
constexpr std::array kTinyAya{CutStep{R"((?<!\d)(\d++)(?![\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}]))", 3, {}, true},
                              CutStep{kGpt4oPattern, 3}};
// Ideographs are words apart from other letters: "and not Han", written as what else a character may be.
// llama.cpp does not cut before capitals, nor keep marks with their letters.
constexpr std::array kKimiK2{CutStep{
    R"(\p{sc:Han}+)"
    R"(|[^\r\n\p{L}\p{N}]?[^\p{Ll}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}]*[^\p{Lu}\p{Lt}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[^\p{Ll}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}]+[^\p{Lu}\p{Lt}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    3}};

constexpr CutStep kBloomStep{R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"};
constexpr std::array kBloom{kBloomStep};
constexpr std::array kViking{kBloomStep, kSingleDigits};

// A run of characters and a space in front of it. Between runs, white space is passed over in one step but
// for a space that the next run may take.
constexpr std::string_view kSpacedRun = R"(\s?[@]++|(?:[^\s@]++|\s+(?=\s|\z)|\s(?![@]))++)";
// The same for characters among which is U+3000, itself white space.
constexpr std::string_view kSpacedRunWith3000 =
    R"(\s?[@]++|(?:[^\s@]++|[^\S\x{3000}]+(?=[^\S\x{3000}]|\z)|[^\S\x{3000}](?![@]))++)";

// Letters of the scripts that have capitals, as DeepSeek counts them.
constexpr std::string_view kCasedLetters =
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C})"
    R"(\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B})"
    R"(\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
    R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139})"
    R"(\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})";

constexpr CutStep kNewLines{R"(([\r\n]+))", 1};
constexpr CutStep kDeepseekCjk{R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"};
constexpr std::array kDeepseekCoder{kNewLines, CutStep{kSpacedRun, 0, R"(\p{L})"},
                                    CutStep{kSpacedRun, 0, R"(\p{P})"}, kDeepseekCjk, kSingleDigits};
constexpr std::array kDeepseekLlm{
    kNewLines,
    CutStep{kSpacedRun, 0, kCasedLetters},
    CutStep{kSpacedRunWith3000, 0,
            R"(!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002})"},
    CutStep{R"(\s++\z|(?:\S++|\s++(?!\z))++)"},  // white space at the end: \s+$
    kDeepseekCjk,
    CutStep{R"(\p{N}+|\P{N}+)"}};
constexpr CutStep kDeepseekV3Cjk{R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"};
constexpr CutStep kDeepseekV3Step{
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array kDeepseekV3{CutStep{R"((\p{N}+)|\P{N}+)", 3}, kDeepseekV3Cjk, kDeepseekV3Step};
constexpr std::array kSpark25{
    kSingleDigits, kDeepseekV3Cjk,
    CutStep{R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
            R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)"}};
// Digits as commas would group them, and scripts without spaces between words.
constexpr CutStep kGroupedDigits{R"((\p{N}+)|\P{N}+)", 3, {}, true};
constexpr std::array kAfmoe{
    kGroupedDigits,
    CutStep{R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{30FF}\x{FF65}-\x{FF9F})"
            R"(\x{2F00}-\x{2FDF}\x{E40}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F})"
            R"(\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)"},
    kDeepseekV3Step};
constexpr std::array kSuperBpe{kGroupedDigits};
// Its two steps for images' and sentinels' names are left out: those are special tokens.
constexpr std::array kChameleon{CutStep{R"([\t\n]|    |  )"}, kSingleDigits,
                                CutStep{R"([\p{P}!-/:-@\[-`{-~])"}, kGpt2Step};

// SentencePiece's pieces, but with merges. Those of Gemma have no piece with a new line beside other characters, and its
// first files say wrongly that texts have no BOS, without which the model writes nonsense.
constexpr std::array kLines{kLinesStep};

// Those with form C are the ones whose own tokenizers are known to have it: Qwen's, those of GPT-NeoX-20B's
// family (Pythia, MPT, OLMo, ModernBERT), Cohere's, Stable LM 2's (Arcade100kTokenizer) and Hunyuan-A13B's (HYTokenizer).
// DeepSeek's distillations have Qwen's vocabulary, but not its form C.
constexpr PreTokenizerRule kRules[] = {
    {"default", kDefault},
    {"gpt-2", kGpt2},
    {.name = "gpt-neox", .steps = kGpt2, .nfc = true},
    {.name = "mpt", .steps = kGpt2, .nfc = true},
    {.name = "olmo", .steps = kGpt2, .nfc = true},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"exaone4", kGpt2},
    {"phi-2", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {.name = "modern-bert", .steps = kGpt2, .nfc = true},
    {"jina-es", kGpt2},
    {"jina-de", kGpt2},
    {"jina-v1-en", kGpt2},
    {"jina-v2-es", kGpt2},
    {"jina-v2-de", kGpt2},
    {"jina-v2-code", kGpt2},
    {"roberta-bpe", kGpt2},
    {"starcoder", kDigitsThenGpt2},
    {"refact", kDigitsThenGpt2},
    {.name = "command-r", .steps = kDigitsThenGpt2, .nfc = true},
    {"cohere2_moe", kDigitsThenGpt2},
    {"smollm", kDigitsThenGpt2},
    {"codeshell", kDigitsThenGpt2},
    {"exaone", kDigitsThenGpt2},
    {"minerva-7b", kDigitsThenGpt2},
    {"mellum2", kDigitsThenGpt2},
    {"falcon", kFalcon},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"llama-bpe", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"falcon-h1", kLlama3, true, true},
    {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"jina-v5-nano", kLlama3, true, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"glm4", kLlama3},
    {"chatglm-bpe", kLlama3},
    {.name = "qwen2", .steps = kQwen2, .nfc = true},
    {"deepseek-r1-qwen", kQwen2},
    {.name = "stablelm2", .steps = kQwen2, .nfc = true},
    {"f2llmv2", kQwen2},
    {"openpangu", kQwen2},
    {"megrez", kQwen2},
    {"kormo", kQwen2},
    {.name = "hunyuan", .steps = kQwen2, .nfc = true},
    {"grok-2", kQwen2},
    {"solar-open", kQwen2},
    {.name = "qwen35", .steps = kQwen35, .nfc = true},
    {"laguna", kLaguna},
    {"ufakzeka", kUfakzeka},
    {"minicpm5", kMiniCpm5, true},
    {"exaone-moe", kExaoneMoe},
    {"jais-2", kJais2},
    {"seed-coder", kSeedCoder},
    {"bailingmoe", kBailing},
    {"bailingmoe2", kBailing},
    {"llada-moe", kBailing},
    {"tekken", kTekken, true, true},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"kanana2", kGpt4o},
    {"minimax-m2", kGpt4o},
    {"talkie", kGpt4o},
    {"granite-embed-multi-97m", kGpt4o, true},
    {"youtu", kYoutu, true},
    {"tiny_aya", kTinyAya},
    {"cohere2moe", kTinyAya},
    {"kimi-k2", kKimiK2},
    {"bloom", kBloom},
    {"poro-chat", kBloom},
    {"gpt3-finnish", kBloom},
    {"viking", kViking},
    {"deepseek-llm", kDeepseekLlm},
    {"deepseek-coder", kDeepseekCoder},
    {"deepseek-v3", kDeepseekV3},
    {"hunyuan-dense", kDeepseekV3},
    {"joyai-llm", kDeepseekV3},
    {"hy_v4", kDeepseekV3},
    {"spark2_5", kSpark25},
    {"afmoe", kAfmoe},
    {"superbpe", kSuperBpe},
    {.name = "gemma4", .steps = kLines, .always_bos = true, .characters = true},
    {.name = "granite-embed-multi-311m", .steps = kLines, .always_bos = true, .characters = true},
    {.name = "sarvam-moe", .steps = kLines, .characters = true},
    {.name = "chameleon", .steps = kChameleon, .add_bos = true},
};

}  // namespace

std::span<const PreTokenizerRule> pre_tokenizer_rules() {
  return kRules;
}

}  // namespace llamajit
