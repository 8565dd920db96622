"""What is said in the sample meeting: two colleagues describe how a customer's order is handled.

The wording was chosen by measuring: plain words and short sentences that the embedded speech engine really hears.
"""

TITLE = "Réunion d’exemple : le traitement d’une commande"
LANGUAGE = "en"

# Speaker names as they introduce themselves, and the flite voice that plays each of them.
VOICES = {"Julia": "slt", "David": "rms"}

# (speaker, sentences) in the order they speak.
TURNS: list[tuple[str, list[str]]] = [
    ("Julia", ["Welcome to this meeting.", "Today we will describe what happens when a customer buys a product."]),
    (
        "David",
        [
            "Good morning everyone.",
            "First the customer fills the form on the website.",
            "Then the system checks if the product is available.",
        ],
    ),
    (
        "Julia",
        [
            "If the product is available, the warehouse prepares the package.",
            "Otherwise the sales team will call the customer.",
        ],
    ),
    (
        "David",
        [
            "After that, the driver takes the package to the customer.",
            "Finally the system sends the bill to the customer.",
        ],
    ),
    ("Julia", ["That is very clear.", "Many customers ask us when the package will arrive."]),
    ("David", ["I agree with you.", "We decided to send a message to the customer before every delivery."]),
    ("Julia", ["We also decided to answer every question in two days."]),
    ("David", ["Julia will write a guide for the sales team by Monday."]),
    ("Julia", ["David will test the new system before the end of the week."]),
    ("David", ["One question is still open.", "We do not know who will answer the customers on Sunday."]),
    ("Julia", ["We will talk about it next week."]),
]
