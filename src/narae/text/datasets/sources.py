"""Published texts: their files, checksums, and where they are fetched from."""

from narae.io.fetch import Download, FileSet

_GITHUB = "https://raw.githubusercontent.com/"

# The MIT licence of the repository; the text is in the public domain.
TINY_SHAKESPEARE = FileSet(
    name="TinyShakespeare",
    folders=("tinyshakespeare",),
    files={
        "text": Download(
            "input.txt", "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
        )
    },
    mirrors=(
        f"{_GITHUB}karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/",
    ),
)

# Of each file: SHA-256 packed, SHA-256 unpacked, bytes unpacked. Captions of Flickr30k: for
# research; the repository names no licence.
_MULTI30K = {
    "test_2016_flickr.de": (
        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
        "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
        70_649,
    ),
    "test_2016_flickr.en": (
        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
        "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
        62_076,
    ),
    "test_2017_flickr.de": (
        "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee",
        "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
        64_059,
    ),
    "test_2017_flickr.en": (
        "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074",
        "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
        55_242,
    ),
    "test_2017_mscoco.de": (
        "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338",
        "58277df3c75f92f7145a11b910b553d1cf82c439249d4dc237c899609eafac22",
        29_906,
    ),
    "test_2017_mscoco.en": (
        "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58",
        "43051fdfa86fd5395182e718a94ca67b1b227b9f7c79596ff0f6b813216981d2",
        24_949,
    ),
    "train.de": (
        "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
        "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
        2_110_398,
    ),
    "train.en": (
        "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
        "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
        1_801_238,
    ),
    "val.de": (
        "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
        "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
        75_981,
    ),
    "val.en": (
        "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
        "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
        63_297,
    ),
}

MULTI30K = FileSet(
    name="Multi30k",
    folders=("multi30k",),
    files={
        name: Download(f"{name}.gz", f"sha256:{packed}", f"sha256:{unpacked}", size)
        for name, (packed, unpacked, size) in _MULTI30K.items()
    },
    mirrors=(
        f"{_GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/",
    ),
)

# CC BY 2.0 (France); whom to name stands in the third column of each line.
TATOEBA = FileSet(
    name="Tatoeba",
    folders=("korean-english-tatoeba",),
    files={
        "pairs": Download(
            "kor.txt", "sha256:f1898828af5fbd94532ea6a5da47abb9685e0003b96ed13e184f57157fa95317"
        )
    },
    mirrors=(f"{_GITHUB}parkjunho12/seq2seq/390696a9766e714415cc9094a860fcc3887e57f1/kor-eng/",),
)

# The MIT licence.
CHATBOT_KO = FileSet(
    name="ChatbotKo",
    folders=("chatbot-ko",),
    files={
        "pairs": Download(
            "ChatbotData.csv",
            "sha256:287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
        )
    },
    mirrors=(f"{_GITHUB}songys/Chatbot_data/4cf20d13fc46f5037fd1c531cd566e2dd9f72974/",),
)
